"""The resources of the API that we use, and the paths of their objects."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True)
class Resource:
    """A kind of objects. `plural` is its name in paths and in rights."""

    api: str  # v1, apps/v1, ...
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        """The API group; the core group is empty."""
        return self.api.rpartition("/")[0]

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The path of a collection, an object or a subresource. Without a namespace: of all of them."""
        parts = ["api", self.api] if "/" not in self.api else ["apis", self.api]
        if self.namespaced and namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name:
            parts.append(quote(name, safe=""))
        if subresource:
            parts.append(subresource)
        return "/" + "/".join(parts)


CONFIG_MAPS = Resource("v1", "configmaps", "ConfigMap")
SECRETS = Resource("v1", "secrets", "Secret")
PODS = Resource("v1", "pods", "Pod")
SERVICES = Resource("v1", "services", "Service")
EVENTS = Resource("v1", "events", "Event")
NAMESPACES = Resource("v1", "namespaces", "Namespace", namespaced=False)
NODES = Resource("v1", "nodes", "Node", namespaced=False)
RESOURCE_QUOTAS = Resource("v1", "resourcequotas", "ResourceQuota")
PERSISTENT_VOLUME_CLAIMS = Resource("v1", "persistentvolumeclaims", "PersistentVolumeClaim")
DEPLOYMENTS = Resource("apps/v1", "deployments", "Deployment")
REPLICA_SETS = Resource("apps/v1", "replicasets", "ReplicaSet")
JOBS = Resource("batch/v1", "jobs", "Job")
LEASES = Resource("coordination.k8s.io/v1", "leases", "Lease")
ENDPOINT_SLICES = Resource("discovery.k8s.io/v1", "endpointslices", "EndpointSlice")
