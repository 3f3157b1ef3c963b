"""Has this cluster what a stack asks of it? Looked at before anything is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from infra.cluster.session import Session
from infra.hostclient import Absent, HostProblem
from runtime.contract.cluster import METRICS, METRICS_API
from runtime.kubeapi import NotFound, Resource

API_SERVICES = Resource("apiregistration.k8s.io/v1", "apiservices", "APIService", namespaced=False)
NAME = f"v1beta1.{METRICS_API}"
KEDA = "/apis/keda.sh/v1alpha1"
GATEWAY_API = "/apis/gateway.networking.k8s.io/v1"


@dataclass(frozen=True)
class Needs:
    """What not every cluster has. `autoscalers`: by service, hpa or keda; `expose`: as in `target.gateway`."""

    autoscalers: Mapping[str, str] = field(default_factory=dict)
    expose: str = "clusterIP"


async def check(session: Session, needs: Needs) -> None:
    """Raises HostProblem, with the field that asks for what cannot be.

    1. gatewayApi: its resources must be known.
    2. hpa: a cluster has one external metrics API. Another one's stays; so does that of another stack of ours.
    3. keda: its resources must be known.
    """
    if needs.expose == "gatewayApi" and not await _knows(session, GATEWAY_API):
        text = "the cluster lacks the Gateway API (it has no HTTPRoute of gateway.networking.k8s.io/v1)"
        raise Absent(f"target.gateway.expose: {text}; install it, or take `ingress`", 409)
    for service, by in sorted(needs.autoscalers.items()):
        path = f"services.{service}.autoscaler"
        if by == "hpa":
            await _free(session, path)
        elif by == "keda" and not await _knows(session, KEDA):
            text = "KEDA is not installed in this cluster (it has no keda.sh/v1alpha1)"
            raise Absent(f"{path}: {text}; install it, or take `autoscaler: gateway`", 409)


async def _free(session: Session, path: str) -> None:
    try:
        found = await session.kube.get(API_SERVICES, "", NAME)
    except NotFound:
        if await session.kube.can("create", API_SERVICES):
            return
        right = "create apiservices.apiregistration.k8s.io (SelfSubjectAccessReview)"
        text = f"the context may not {right}, which hpa needs"
        raise HostProblem("Forbidden", f"{path}: {text}; `autoscaler: gateway` needs none", 403) from None
    behind = (found.get("spec") or {}).get("service") or {}
    where = behind.get("namespace"), behind.get("name")
    if where == (session.namespace, METRICS):
        return
    named = "/".join(map(str, where)) if all(where) else "the API server itself"
    text = f"the cluster's external metrics API ({NAME}) is served by {named}, and a cluster has one"
    raise HostProblem("ForeignState", f"{path}: {text}; `autoscaler: gateway` needs none", 409)


async def _knows(session: Session, group: str) -> bool:
    """Whether the API server has this group and version."""
    try:
        await session.kube.raw("GET", group)
    except NotFound:
        return False
    return True
