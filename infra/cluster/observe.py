"""How far a version is: its row, its Deployment and its pods as one VersionState. Pure.

Note: docs/designs/kubernetes-target.md, rule 3
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from infra.cluster.pods import Json, PodFailure, is_going, is_ready, name_of, replica_state, seconds, start_failure
from runtime.contract import wanted
from runtime.contract.cluster import version_name
from runtime.contract.desired import Version
from runtime.contract.host import ReplicaState, VersionFailure, VersionState
from runtime.contract.phases import STARTING, Phase
from runtime.contract.replica import ReplicaStatus
from runtime.contract.route import RouteTable


def version_state(
    row: Version,
    *,
    deployment: Json | None,
    pods: Sequence[Json],
    events: Mapping[str, Sequence[Json]],
    statuses: Mapping[str, ReplicaStatus],
    route: RouteTable | None,
    now: float,
) -> VersionState:
    """Events and statuses are by pod. The failure has no log yet: `failed_pod` says whose it is."""
    count = wanted.wanted(row, route, now)
    replicas = [replica_state(pod, events.get(name_of(pod), ()), statuses.get(name_of(pod))) for pod in by_age(pods)]
    return VersionState(
        record=row.record,
        wanted=count,
        replicas=tuple(replicas),
        failure=_failure(row, count, deployment, pods, replicas, events, statuses),
        routed=wanted.is_routed(row, route),
        leased=wanted.is_leased(row, now),
        orphan_since=row.orphan_since,
        because=row.because,
    )


def _failure(
    row: Version,
    count: int,
    deployment: Json | None,
    pods: Sequence[Json],
    replicas: Sequence[ReplicaState],
    events: Mapping[str, Sequence[Json]],
    statuses: Mapping[str, ReplicaStatus],
) -> VersionFailure | None:
    """The first that matches wins: a pod's failure, what keeps pods from being made, what is kept in the row."""
    if (failed := failed_pod(pods, events, statuses)) is not None:
        return VersionFailure(phase=failed.phase, reason=failed.reason)
    coming = sum(each.ready or each.phase in STARTING for each in replicas)
    if count and deployment is None:
        name = version_name(*row.key)
        reason = f"its Deployment {name} is not there; `pulumi up --refresh` makes it again"
        return VersionFailure(phase=Phase.SCHEDULE, reason=reason)
    if coming < count and deployment is not None and (words := not_made(deployment)):
        return VersionFailure(phase=Phase.SCHEDULE, reason=words)
    return None if count and coming >= count else row.failure


def failed_pod(
    pods: Sequence[Json], events: Mapping[str, Sequence[Json]], statuses: Mapping[str, ReplicaStatus]
) -> PodFailure | None:
    """The failure of the oldest pod that has one."""
    found = (start_failure(pod, events.get(name_of(pod), ()), statuses.get(name_of(pod))) for pod in by_age(pods))
    return next((failure for failure in found if failure is not None), None)


def not_made(deployment: Json) -> str:
    """Why no pod can be made (a quota, a policy), in the API server's words; empty when they can."""
    metadata, status = deployment["metadata"], deployment.get("status") or {}
    if int(status.get("observedGeneration", 0)) < int(metadata.get("generation", 0)):
        return ""  # its controller has yet to look at the last change
    for condition in status.get("conditions") or []:
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            text = str(condition.get("message") or condition.get("reason") or "")
            _, forbidden, cause = text.partition(" is forbidden: ")
            return f"no pod can be made: {cause if forbidden else text}"
    return ""


def by_age(pods: Sequence[Json]) -> list[Json]:
    """Those that stay first, the oldest first."""
    return sorted(
        pods, key=lambda pod: (is_going(pod), seconds(pod["metadata"].get("creationTimestamp")), name_of(pod))
    )


def needs_events(pods: Sequence[Json]) -> bool:
    """Is there a pod on its way, about which events say more than the pod itself?"""
    return any(not is_going(pod) and not is_ready(pod) and not _runs(pod) for pod in pods)


def _runs(pod: Json) -> bool:
    containers = (pod.get("status") or {}).get("containerStatuses") or []
    return bool(containers) and all("running" in each.get("state", {}) for each in containers)
