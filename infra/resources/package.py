"""The name and the one version of the Pulumi package: wheel, plugin, schema and every resource's options carry it."""

from __future__ import annotations

import pulumi

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
