"""Where services may run: resource groups, quotas, and the node pools behind groups."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pulumi

from components.errors import Refused
from infra.resources import options, token
from infra.stackfile import Quota

if TYPE_CHECKING:
    from components.targets.kubernetes.declare import Cluster


class ResourceGroup(pulumi.ComponentResource):
    """A pool of nodes of given instance types.

    On target local it is planned and creates nothing; on a cluster its services are held to nodes of its types.
    """

    def __init__(self, name: str, args: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(token("ResourceGroup"), name, dict(args), options(opts))
        self.register_outputs(self.outputs())

    def outputs(self) -> dict[str, Any]:
        """Nothing that another resource could use yet."""
        return {}


class ResourceQuota(pulumi.ComponentResource):
    """A cap over the services that name it. On target local it is planned and not enforced.

    On a cluster its GPUs, cores and memory are a ResourceQuota over the pods of its services.
    """

    def __init__(
        self,
        name: str,
        args: Mapping[str, Any],
        opts: pulumi.ResourceOptions | None = None,
        *,
        cluster: Cluster | None = None,
    ) -> None:
        super().__init__(token("ResourceQuota"), name, dict(args), options(opts))
        self.objects: list[pulumi.Resource] = []
        """On a cluster: what has to be there before the pods that it counts."""
        if cluster is not None:
            from components.targets.kubernetes.declare import declare_all
            from components.targets.kubernetes.quota import quota_objects

            quota = Quota.model_validate_json(json.dumps(dict(args)))
            manifests = quota_objects(cluster.address.namespace, name, quota)
            self.objects = declare_all(manifests, cluster, self, cluster.first())
        self.register_outputs(self.outputs())

    def outputs(self) -> dict[str, Any]:
        """Nothing that another resource could use yet."""
        return {}


class GpuNodePool(pulumi.ComponentResource):
    """GPU nodes of a cloud. Target local has none: this machine is what there is."""

    def __init__(self, name: str, args: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        raise Refused(
            f"GpuNodePool {name}: node pools are not available yet, on any target; "
            "name resources in services.NAME.resources, or use a ResourceGroup"
        )
