"""The name and the one version of the Pulumi package: wheel, plugin, schema and every resource's options carry it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

Inputs = Mapping[str, pulumi.Input[Any]]
PACKAGE = "inferform"
VERSION = "0.1.0"


def token(name: str) -> str:
    """The Pulumi type token of a resource or component of this package."""
    return f"{PACKAGE}:index:{name}"


WAKE = token("wake")
"""A call that does nothing: a program makes it to have the plugin started while it still loads itself."""


def options(opts: pulumi.ResourceOptions | None) -> pulumi.ResourceOptions:
    """A resource's options with our version: with it on every resource there is one default provider, not two."""
    return pulumi.ResourceOptions.merge(pulumi.ResourceOptions(version=VERSION), opts)


class PluginResource(pulumi.CustomResource):
    """A custom resource of the plugin, called as its class is."""

    OUTPUTS: tuple[str, ...] = ()
    """What the plugin adds to the inputs."""

    def __init__(self, name: str, inputs: Inputs, opts: pulumi.ResourceOptions | None = None) -> None:
        outputs = dict.fromkeys(type(self).OUTPUTS)
        super().__init__(token(type(self).__name__), name, {**inputs, **outputs}, options(opts))
