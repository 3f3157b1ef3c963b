"""Can this cluster have the autoscalers that a stack asks for? Looked at before anything of them is made."""

from __future__ import annotations

from collections.abc import Mapping

from infra.cluster.session import Session
from infra.hostclient import HostProblem
from runtime.contract.cluster import METRICS, METRICS_API
from runtime.kubeapi import NotFound, Resource

API_SERVICES = Resource("apiregistration.k8s.io/v1", "apiservices", "APIService", namespaced=False)
NAME = f"v1beta1.{METRICS_API}"
KEDA = "/apis/keda.sh/v1alpha1"


async def check(session: Session, autoscalers: Mapping[str, str]) -> None:
    """By service: hpa or keda. Raises HostProblem, with the field of a service that asks for what cannot be.

    1. hpa: a cluster has one external metrics API. Another one's stays; so does that of another stack of ours.
    2. keda: its resources must be known.
    """
    for service, by in sorted(autoscalers.items()):
        field = f"services.{service}.autoscaler"
        if by == "hpa":
            await _free(session, field)
        elif by == "keda":
            await _installed(session, field)


async def _free(session: Session, field: str) -> None:
    try:
        found = await session.kube.get(API_SERVICES, "", NAME)
    except NotFound:
        if await session.kube.can("create", API_SERVICES):
            return
        right = "create apiservices.apiregistration.k8s.io (SelfSubjectAccessReview)"
        text = f"the context may not {right}, which hpa needs"
        raise HostProblem("Forbidden", f"{field}: {text}; `autoscaler: gateway` needs none", 403) from None
    behind = (found.get("spec") or {}).get("service") or {}
    where = behind.get("namespace"), behind.get("name")
    if where == (session.namespace, METRICS):
        return
    named = "/".join(map(str, where)) if all(where) else "the API server itself"
    text = f"the cluster's external metrics API ({NAME}) is served by {named}, and a cluster has one"
    raise HostProblem("ForeignState", f"{field}: {text}; `autoscaler: gateway` needs none", 409)


async def _installed(session: Session, field: str) -> None:
    try:
        await session.kube.raw("GET", KEDA)
    except NotFound:
        text = "KEDA is not installed in this cluster (it has no keda.sh/v1alpha1)"
        raise HostProblem("NotFound", f"{field}: {text}; install it, or take `autoscaler: gateway`", 409) from None
