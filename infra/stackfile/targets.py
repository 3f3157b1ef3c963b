"""Where a stack is realised: this machine, a cluster, EKS."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from infra.stackfile.base import Count, FileModel, Positive, Text

NAMESPACE = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"


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


class Tls(FileModel):
    """How an ingress ends TLS."""

    secret: Text
    """A Secret of type kubernetes.io/tls in the stack's namespace."""


class ParentGateway(FileModel):
    """The Gateway (gateway.networking.k8s.io) that an HTTPRoute attaches to."""

    name: Text
    namespace: Text | None = None
    """The stack's own when absent."""
    section: Text | None = None
    """One listener of it; every listener that allows the route when absent."""


class ClusterGateway(FileModel):
    """The gateway's Deployment, and how it is reached."""

    replicas: Count = 2
    expose: Literal["clusterIP", "loadBalancer", "ingress", "gatewayApi"] = "clusterIP"
    """clusterIP: inside the cluster alone. loadBalancer: an address of its own. ingress, gatewayApi: by `host`."""
    host: Annotated[str, Field(pattern=r"^(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")] | None = None
    """ingress and gatewayApi: the name under which it is reached."""
    class_name: Text | None = None
    """ingress: the IngressClass; the cluster's default when absent."""
    parent: ParentGateway | None = None
    """gatewayApi: the Gateway that the HTTPRoute attaches to."""
    tls: Tls | None = None
    """ingress: TLS ends there. (With gatewayApi it ends at the Gateway's listener.)"""

    @model_validator(mode="after")
    def _together(self) -> Self:
        wants = {"ingress": ("host",), "gatewayApi": ("host", "parent")}.get(self.expose, ())
        takes = {"ingress": ("host", "className", "tls"), "gatewayApi": ("host", "parent")}.get(self.expose, ())
        given = {"host": self.host, "className": self.class_name, "parent": self.parent, "tls": self.tls}
        if missing := [key for key in wants if given[key] is None]:
            raise PydanticCustomError("expose", f"expose: {self.expose} needs {' and '.join(missing)}")
        if extra := [key for key, value in given.items() if value is not None and key not in takes]:
            known = f"it takes {', '.join(takes)}" if takes else "remove it, or choose expose: ingress"
            raise PydanticCustomError(
                "expose", f"expose: {self.expose} does nothing with {' and '.join(extra)}", {"nearest": known}
            )
        return self


class ModelCache(FileModel):
    """Volumes that keep models: each model is fetched once, by a Job, and read by every replica of it."""

    size_gib: Positive = Field(alias="sizeGiB")
    """Of each model's volume."""
    storage_class: Text | None = None
    """The cluster's default when absent."""
    access_mode: Literal["ReadWriteOnce", "ReadWriteMany"] = "ReadWriteMany"
    """ReadWriteOnce holds all replicas of a model on one node."""


class ClusterKeys(FileModel):
    """What Kubernetes and EKS share."""

    context: Text | None = None
    """The kubeconfig's context."""
    kubeconfig: Text | None = None
    """A kubeconfig file; the usual search when absent."""
    namespace: Annotated[str, Field(pattern=NAMESPACE)] = "inferform"
    """A namespace that exists is used, kept and never relabelled; one we created is deleted with the stack."""
    image: Text | None = None
    """The runtime's image, by digest; each method's own in inferform.lock when absent."""
    gateway: ClusterGateway = ClusterGateway()
    model_cache: ModelCache | None = None
    """Keep models in volumes; without it each replica fetches its own copy."""
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
