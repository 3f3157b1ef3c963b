"""Where services may run: resource groups, quotas, and the node pools behind groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from components.errors import Refused
from infra.resources import options, token


class ResourceGroup(pulumi.ComponentResource):
    """A pool of nodes of given instance types. On target local it is planned and creates nothing."""

    def __init__(self, name: str, args: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(token("ResourceGroup"), name, dict(args), options(opts))
        self.register_outputs(self.outputs())

    def outputs(self) -> dict[str, Any]:
        """Nothing that another resource could use yet."""
        return {}


class ResourceQuota(pulumi.ComponentResource):
    """A cap over the services that name it. On target local it is planned and not enforced."""

    def __init__(self, name: str, args: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(token("ResourceQuota"), name, dict(args), options(opts))
        self.register_outputs(self.outputs())

    def outputs(self) -> dict[str, Any]:
        """Nothing that another resource could use yet."""
        return {}


class GpuNodePool(pulumi.ComponentResource):
    """GPU nodes of a cloud. Target local has none: this machine is what there is."""

    def __init__(self, name: str, args: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        raise Refused(
            f"GpuNodePool {name}: node pools are not available on target local yet; this machine is the only node, "
            "so name its resources in services.NAME.resources or use a ResourceGroup"
        )
