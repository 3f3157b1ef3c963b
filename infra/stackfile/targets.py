"""Where a stack is realised: this machine, a cluster, EKS."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from infra.stackfile.base import Count, FileModel, Text


class LocalGateway(FileModel):
    """Where the gateway of target local listens."""

    host: Text = "127.0.0.1"
    """The address to listen on."""
    port: Annotated[int, Field(ge=1, le=65535)] = 8070
    """The TCP port; a busy one is an error of the plan that names who holds it."""


class LocalTarget(FileModel):
    """This machine."""

    kind: Literal["local"] = "local"
    gateway: LocalGateway = LocalGateway()
    state: Text | None = None
    """The host's folder, relative to the project; `.inferform/<stack>` when absent."""


class ClusterGateway(FileModel):
    """The gateway's Deployment."""

    replicas: Count = 2
    expose: Literal["clusterIP", "loadBalancer", "ingress", "gatewayApi"] = "clusterIP"


class ClusterKeys(FileModel):
    """What Kubernetes and EKS share."""

    context: Text | None = None
    """The kubeconfig's context."""
    kubeconfig: Text | None = None
    """A kubeconfig file; the usual search when absent."""
    namespace: Text | None = None
    """A namespace that exists is used, kept and never relabelled; one we created is deleted with the stack."""
    image: Text | None = None
    """The runtime's image, by digest."""
    gateway: ClusterGateway = ClusterGateway()
    render: Text | None = None
    """Write manifests into this folder and touch no cluster."""


class KubernetesTarget(ClusterKeys):
    """A Kubernetes cluster that exists."""

    kind: Literal["kubernetes"]


class EksTarget(ClusterKeys):
    """An EKS cluster whose GPU node groups are made for the resource groups."""

    kind: Literal["eks"]


Target = LocalTarget | KubernetesTarget | EksTarget
TARGETS: dict[str, type[LocalTarget] | type[KubernetesTarget] | type[EksTarget]] = {
    "local": LocalTarget,
    "kubernetes": KubernetesTarget,
    "eks": EksTarget,
}
