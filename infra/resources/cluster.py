"""The custom resource that only a cluster has, thin. docs/designs/kubernetes-target.md has the table of objects."""

from __future__ import annotations

import pulumi

from infra.resources.package import PluginResource


class Namespace(PluginResource):
    """Where a stack lives on a cluster. Inputs: state (kubernetes://CONTEXT/NAMESPACE), stack (`project.stack`)."""

    OUTPUTS = ("created", "version")
    created: pulumi.Output[bool]
    """Made here, and so deleted with the stack."""
    version: pulumi.Output[str]
    """Of the cluster."""
