"""A thin asynchronous client of the Kubernetes API: plain JSON data, no generated models. Shared by gateway and plugin.

```
access = await from_kubeconfig(path="", context="prod")      # or in_cluster(); raises KubeProblem
async with KubeClient(access) as kube:
    config_map = await kube.get(CONFIG_MAPS, "llm", "chat-route")    # dict; NotFound, Forbidden, ... are ApiProblems
    config_map["data"]["x"] = "1"
    await kube.replace(CONFIG_MAPS, "llm", config_map)               # compare-and-swap: Conflict
    await kube.scale(DEPLOYMENTS, "llm", "chat-3f2a9c01d4", 3)
    answer = await request(kube, "llm", "chat-3f2a9c01d4-x", 8000, "GET", "/-/status")   # through a port-forward
    informer = Informer(kube, CONFIG_MAPS, "llm", labels="inferform.io/part=route")      # .run(), .objects, .synced
```
A namespace of `""` is for resources without one, and for lists over all namespaces. Threads use `Blocking`:
`blocking = Blocking(lambda: from_kubeconfig(...)); blocking.run(blocking.client.get(...))`; its loop lives in one
daemon thread of the process.

Imports nothing of this project.
"""

from __future__ import annotations

from runtime.kubeapi.access import Access, from_kubeconfig, in_cluster
from runtime.kubeapi.blocking import Blocking
from runtime.kubeapi.client import KubeClient
from runtime.kubeapi.documents import Object
from runtime.kubeapi.errors import (
    AlreadyExists,
    ApiProblem,
    BadKubeconfig,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    KubeProblem,
    NoCredentials,
    NoKubeconfig,
    NotFound,
    Unauthorized,
    UnknownContext,
    Unreachable,
)
from runtime.kubeapi.forward import Answer, ForwardBroken, PortForward, portforward, request
from runtime.kubeapi.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    EVENTS,
    JOBS,
    LEASES,
    NAMESPACES,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PODS,
    REPLICA_SETS,
    RESOURCE_QUOTAS,
    SECRETS,
    SERVICES,
    Resource,
)
from runtime.kubeapi.watch import Change, Informer, Listing, watch

__all__ = [
    "CONFIG_MAPS",
    "DEPLOYMENTS",
    "ENDPOINT_SLICES",
    "EVENTS",
    "JOBS",
    "LEASES",
    "NAMESPACES",
    "NODES",
    "PERSISTENT_VOLUME_CLAIMS",
    "PODS",
    "REPLICA_SETS",
    "RESOURCE_QUOTAS",
    "SECRETS",
    "SERVICES",
    "Access",
    "AlreadyExists",
    "Answer",
    "ApiProblem",
    "BadKubeconfig",
    "Blocking",
    "Change",
    "Conflict",
    "Forbidden",
    "ForwardBroken",
    "Gone",
    "Informer",
    "Invalid",
    "KubeClient",
    "KubeProblem",
    "Listing",
    "NoCredentials",
    "NoKubeconfig",
    "NotFound",
    "Object",
    "PortForward",
    "Resource",
    "Unauthorized",
    "UnknownContext",
    "Unreachable",
    "from_kubeconfig",
    "in_cluster",
    "portforward",
    "request",
    "watch",
]
