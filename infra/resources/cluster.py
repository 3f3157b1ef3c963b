"""The custom resource that only a cluster has, thin. docs/designs/kubernetes-target.md has the table of objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from infra.resources.package import options, token


class Namespace(pulumi.CustomResource):
    """Where a stack lives on a cluster. Inputs: state (kubernetes://CONTEXT/NAMESPACE), stack (`project.stack`)."""

    created: pulumi.Output[bool]
    """Made here, and so deleted with the stack."""
    version: pulumi.Output[str]
    """Of the cluster."""

    def __init__(
        self, name: str, inputs: Mapping[str, pulumi.Input[Any]], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(token("Namespace"), name, {**inputs, "created": None, "version": None}, options(opts))
