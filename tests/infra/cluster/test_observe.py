"""How far a version is, read from pods and events as real clusters write them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from infra.cluster.observe import failed_pod, version_state
from infra.cluster.pods import is_stuck, replica_state, start_failure
from infra.cluster.reports import applied, is_busy
from runtime.contract.cluster import APPLIED, BUSY
from runtime.contract.desired import Version
from runtime.contract.host import VersionFailure, VersionRecord
from runtime.contract.phases import Phase
from runtime.contract.replica import ReplicaStatus
from runtime.contract.version import Bounds, EngineKind, Method, VersionTemplate

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC).timestamp()
BORN, PLACED, STARTED = "2026-11-25T11:58:00Z", "2026-11-25T11:58:30Z", "2026-11-25T11:59:00Z"
IMAGE = "registry.corp/inferform@sha256:2b7412"
SCHEDULED = {"type": "PodScheduled", "status": "True", "lastTransitionTime": PLACED}
READY = {"type": "Ready", "status": "True", "lastTransitionTime": STARTED}
TEMPLATE = VersionTemplate(method=Method.STANDARD, engine=EngineKind.SCRIPTED)


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def pod(
    *containers: Mapping[str, Any],
    conditions: tuple[Mapping[str, Any], ...] = (SCHEDULED,),
    name: str = "chat-1",
    born: str = BORN,
    going: bool = False,
    **status: Any,
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "creationTimestamp": born}
    if going:
        metadata |= {"deletionTimestamp": "2026-11-25T12:00:10Z", "deletionGracePeriodSeconds": 30}
    limits = {"limits": {"memory": "8Gi"}}
    spec = {"containers": [{"name": "replica", "image": IMAGE, "resources": limits}]}
    conditions_ = list(conditions)
    return {
        "metadata": metadata,
        "spec": spec,
        "status": {"conditions": conditions_, "containerStatuses": list(containers), **status},
    }


def container(restarts: int = 0, last: Mapping[str, Any] | None = None, **state: Any) -> dict[str, Any]:
    return {"name": "replica", "restartCount": restarts, "state": state, "lastState": last or {}, "image": IMAGE}


def event(reason: str, message: str, when: str = PLACED) -> dict[str, Any]:
    return {"reason": reason, "message": message, "lastTimestamp": when, "involvedObject": {"name": "chat-1"}}


def status(phase: Phase, detail: str = "", error: str = "") -> ReplicaStatus:
    return ReplicaStatus(service="chat", replica="r", hash="h", phase=phase, since=NOW - 5, detail=detail, error=error)


RUNNING = container(running={"startedAt": STARTED})
SHORT_OF_MEMORY = (
    "0/4 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, "
    "3 Insufficient nvidia.com/gpu."
)
UNSCHEDULABLE = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": SHORT_OF_MEMORY + " preemption: 0/4 nodes are available: 4 No preemption victims found.",
}


@pytest.mark.parametrize(
    ("found", "events", "said", "phase", "since", "detail"),
    [
        (pod(conditions=()), [], None, Phase.SCHEDULE, at(BORN), "waits for a node"),
        (pod(conditions=(UNSCHEDULABLE,)), [], None, Phase.SCHEDULE, at(BORN), SHORT_OF_MEMORY),
        (
            pod(conditions=(UNSCHEDULABLE,)),
            [event("TriggeredScaleUp", "pod triggered scale-up: [{gpu-pool 1->2 (max: 4)}]")],
            None,
            Phase.SCHEDULE,
            at(BORN),
            f"{SHORT_OF_MEMORY}; pod triggered scale-up: [{{gpu-pool 1->2 (max: 4)}}]",
        ),
        (
            pod(container(waiting={"reason": "ContainerCreating"})),
            [event("Scheduled", "assigned"), event("Pulling", f'Pulling image "{IMAGE}"')],
            None,
            Phase.IMAGE,
            at(PLACED),
            f'pulling image "{IMAGE}"',
        ),
        (
            pod(container(waiting={"reason": "ContainerCreating"})),
            [event("FailedMount", 'MountVolume.SetUp failed for volume "spec" : configmap "chat-spec" not found')],
            None,
            Phase.IMAGE,
            at(PLACED),
            'MountVolume.SetUp failed for volume "spec" : configmap "chat-spec" not found',
        ),
        (pod(RUNNING), [], None, Phase.IMAGE, at(STARTED), "process started"),
        (
            pod(RUNNING),
            [],
            status(Phase.WEIGHTS, "120 of 269 MB"),
            Phase.WEIGHTS,
            NOW - 5,
            "120 of 269 MB",
        ),
        (pod(RUNNING, conditions=(SCHEDULED, READY)), [], None, Phase.READY, at(STARTED), ""),
        (pod(RUNNING, conditions=(SCHEDULED, READY), going=True), [], None, Phase.DRAINING, NOW - 20, ""),
    ],
)
def test_a_pod_is_in_the_phase_that_it_waits_in(
    found: dict[str, Any],
    events: list[dict[str, Any]],
    said: ReplicaStatus | None,
    phase: Phase,
    since: float,
    detail: str,
) -> None:
    replica = replica_state(found, events, said)
    assert (replica.phase, replica.since, replica.detail, replica.error) == (phase, since, detail, "")
    assert replica.ready is (phase is Phase.READY)


BACK_OFF = f'Back-off pulling image "{IMAGE}"'
NOT_THERE = (
    f'Failed to pull image "{IMAGE}": rpc error: code = NotFound desc = failed to pull and unpack image: '
    "registry.corp/inferform: manifest unknown"
)
OUT_OF_MEMORY = {"exitCode": 137, "reason": "OOMKilled", "finishedAt": STARTED}


@pytest.mark.parametrize(
    ("found", "events", "said", "phase", "words"),
    [
        (
            pod(container(waiting={"reason": "ErrImagePull", "message": "failed to resolve reference: 401"})),
            [],
            None,
            Phase.IMAGE,
            f"image {IMAGE} cannot be pulled: failed to resolve reference: 401",
        ),
        (
            pod(container(waiting={"reason": "ImagePullBackOff", "message": BACK_OFF})),
            [event("Failed", NOT_THERE), event("Failed", "Error: ImagePullBackOff", STARTED)],
            None,
            Phase.IMAGE,
            f"image {IMAGE} cannot be pulled: failed to pull and unpack image: registry.corp/inferform: "
            "manifest unknown",
        ),
        (
            pod(container(waiting={"reason": "ImagePullBackOff", "message": f"{BACK_OFF}: ErrImagePull: no host"})),
            [],
            None,
            Phase.IMAGE,
            f"image {IMAGE} cannot be pulled: no host",
        ),
        (
            pod(container(waiting={"reason": "CreateContainerConfigError", "message": 'secret "x" not found'})),
            [],
            None,
            Phase.IMAGE,
            'the container cannot be started: secret "x" not found',
        ),
        (
            pod(container(1, {"terminated": OUT_OF_MEMORY}, waiting={"reason": "CrashLoopBackOff"})),
            [],
            status(Phase.WEIGHTS),
            Phase.WEIGHTS,
            "it was killed because it used more memory than its limit of 8Gi (OOMKilled)",
        ),
        (
            pod(
                container(
                    terminated={
                        "exitCode": 1,
                        "reason": "Error",
                        "message": '{"phase": "weights", "reason": "tensor lm_head is truncated"}',
                    }
                )
            ),
            [],
            None,
            Phase.WEIGHTS,
            "tensor lm_head is truncated",
        ),
        (
            pod(container(terminated={"exitCode": 1, "reason": "Error", "message": "Traceback:\nValueError: bad\n\n"})),
            [],
            status(Phase.ENGINE),
            Phase.ENGINE,
            "its process exited with 1: ValueError: bad",
        ),
        (
            pod(container(2, {"terminated": {"exitCode": 139, "reason": "Error"}}, running={"startedAt": STARTED})),
            [],
            None,
            Phase.ENGINE,
            "its process was ended by signal 11 (SIGSEGV)",
        ),
        (
            pod(RUNNING),
            [],
            status(Phase.FAILED, "engine", "CUDA driver version is insufficient"),
            Phase.ENGINE,
            "CUDA driver version is insufficient",
        ),
        (
            pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory."),
            [],
            None,
            Phase.SCHEDULE,
            "the pod is over: Evicted: The node was low on resource: memory.",
        ),
    ],
)
def test_a_start_that_failed_says_why(
    found: dict[str, Any], events: list[dict[str, Any]], said: ReplicaStatus | None, phase: Phase, words: str
) -> None:
    failure = start_failure(found, events, said)
    assert failure is not None
    assert (failure.phase, failure.reason) == (phase, words)
    assert replica_state(found, events, said).error == words


@pytest.mark.parametrize(
    "found",
    [
        pod(RUNNING),
        pod(container(3, {"terminated": OUT_OF_MEMORY}, running={"startedAt": STARTED}), conditions=(SCHEDULED, READY)),
        pod(container(waiting={"reason": "ErrImagePull"}), going=True),
        pod(
            container(
                1,
                {"terminated": {"exitCode": 255, "reason": "ContainerStatusUnknown"}},
                running={"startedAt": STARTED},
            )
        ),
        pod(RUNNING, initContainerStatuses=[{"name": "fetch", "state": {"terminated": {"exitCode": 0}}}]),
    ],
    ids=["starting", "ready again", "leaving", "its node was away", "prepared"],
)
def test_what_goes_on_has_not_failed(found: dict[str, Any]) -> None:
    assert start_failure(found, [], None) is None


def test_the_log_of_the_run_that_failed_is_the_one_to_read() -> None:
    again = pod(container(1, {"terminated": {"exitCode": 1}}, running={"startedAt": STARTED}))
    failure = start_failure(again, [], None)
    assert failure is not None
    assert (failure.container, failure.previous) == ("replica", True)


def test_pods_in_a_back_off_or_over_are_stuck() -> None:
    assert is_stuck(pod(container(waiting={"reason": "CrashLoopBackOff"})))
    assert is_stuck(pod(container(waiting={"reason": "ImagePullBackOff"})))
    assert is_stuck(pod(phase="Failed", reason="Evicted"))
    assert not is_stuck(pod(RUNNING))
    assert not is_stuck(pod(container(waiting={"reason": "CrashLoopBackOff"}), going=True))


# A version ------------------------------------------------------------------------------------------------------------

ROW = Version(
    record=VersionRecord(service="chat", name="v1", hash=TEMPLATE.hash(), template=TEMPLATE, bounds=Bounds(max=3)),
    live=2,
    lease_epoch="1",
)
DEPLOYMENT = {"metadata": {"name": "chat", "generation": 2}, "status": {"observedGeneration": 2}}
QUOTA = "exceeded quota: team-a, requested: requests.nvidia.com/gpu=1, used: 4, limited: 4"


def failing(message: str, observed: int = 2) -> dict[str, Any]:
    condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    return {**DEPLOYMENT, "status": {"observedGeneration": observed, "conditions": [condition]}}


def look(*pods: dict[str, Any], row: Version = ROW, deployment: dict[str, Any] | None = DEPLOYMENT) -> Any:
    return version_state(row, deployment=deployment, pods=pods, events={}, statuses={}, route=None, now=NOW)


def test_replicas_are_listed_by_age_and_those_that_leave_last() -> None:
    state = look(
        pod(RUNNING, name="old", going=True, born="2026-11-25T11:00:00Z"),
        pod(RUNNING, name="b", born="2026-11-25T11:59:00Z"),
        pod(RUNNING, name="a", born="2026-11-25T11:58:00Z"),
    )
    assert [replica.replica for replica in state.replicas] == ["a", "b", "old"]
    assert (state.wanted, state.routed, state.leased, state.failure) == (2, False, False, None)


def test_a_quota_that_is_full_is_a_failure_in_the_servers_words() -> None:
    state = look(pod(RUNNING), deployment=failing(f'pods "chat-x" is forbidden: {QUOTA}'))
    assert state.failure == VersionFailure(phase=Phase.SCHEDULE, reason=f"no pod can be made: {QUOTA}")
    assert look(pod(RUNNING), deployment=failing(QUOTA, observed=1)).failure is None, "its controller is behind"
    both = (pod(RUNNING, name="a"), pod(RUNNING, name="b"))
    assert look(*both, deployment=failing(QUOTA)).failure is None, "all are there"


def test_a_deployment_that_is_gone_is_said_so() -> None:
    failure = look(deployment=None).failure
    assert failure is not None
    assert "`pulumi up --refresh` makes it again" in failure.reason


def test_a_kept_failure_shows_until_replicas_come_again() -> None:
    kept = VersionFailure(phase=Phase.WEIGHTS, reason="truncated")
    row = Version(record=ROW.record, failure=kept, lease_epoch="1")
    assert look(row=row).failure == kept
    coming = Version(record=ROW.record, failure=kept, live=1, lease_epoch="1")
    assert look(pod(RUNNING), row=coming).failure is None


def test_the_oldest_failure_counts() -> None:
    pods = [
        pod(container(terminated={"exitCode": 2}), name="b", born=STARTED),
        pod(container(terminated={"exitCode": 1}), name="a", born=BORN),
    ]
    failure = failed_pod(pods, {}, {})
    assert failure is not None
    assert failure.pod == "a"


# Gateways -------------------------------------------------------------------------------------------------------------


def report(name: str, generation: int, busy: str = "[]") -> dict[str, Any]:
    marks = {APPLIED: f'{{"chat": {generation}}}', BUSY: busy}
    return {"metadata": {"name": name, "annotations": marks}}


def test_a_route_is_applied_when_every_ready_gateway_says_so() -> None:
    a, b = (pod(RUNNING, conditions=(SCHEDULED, READY), name=name) for name in ("a", "b"))
    assert applied("chat", [a, b], [report("a", 3), report("b", 2)]) == 2
    assert applied("chat", [a, b], [report("a", 3)]) == 0, "it has not reported"
    assert applied("chat", [a, pod(RUNNING, name="b")], [report("a", 3)]) == 3
    assert applied("chat", [], [report("a", 3)]) == 0
    assert applied("chat", [a], [{"metadata": {"name": "a", "annotations": {APPLIED: "no JSON"}}}]) == 0


def test_a_gateway_that_leaves_may_still_be_busy() -> None:
    leaving = pod(RUNNING, name="a", going=True)
    assert is_busy("chat", "h", [leaving], [report("a", 1, '["chat/h"]')])
    assert not is_busy("chat", "other", [leaving], [report("a", 1, '["chat/h"]')])
    assert not is_busy("chat", "h", [], [report("a", 1, '["chat/h"]')]), "its pod is gone"
