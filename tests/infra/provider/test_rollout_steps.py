"""The decisions of a rollout, as tables."""

from __future__ import annotations

import pytest

from infra.provider.rollout_steps import Failed, Ready, Timeouts, Waiting, failure_text, judge, seed
from runtime.contract.host import ReplicaState, Scale, VersionFailure, VersionRecord, VersionState
from runtime.contract.phases import Phase
from runtime.contract.version import Bounds, EngineKind, Method, VersionTemplate

TEMPLATE = VersionTemplate(method=Method.STANDARD, engine=EngineKind.SCRIPTED)
RECORD = VersionRecord(service="chat", name="main", hash="h", template=TEMPLATE, bounds=Bounds())
CLOCKS = Timeouts(schedule=10, image=20, weights=30, engine=40, first_token=5)


def replica(phase: Phase, since: float = 90, *, ready: bool = False, detail: str = "") -> ReplicaState:
    return ReplicaState(replica="r", pid=1, phase=phase, since=since, ready=ready, detail=detail)


def version(*replicas: ReplicaState, failure: VersionFailure | None = None) -> VersionState:
    return VersionState(record=RECORD, wanted=1, replicas=replicas, failure=failure)


@pytest.mark.parametrize(
    ("bounds", "share", "live", "current", "scale"),
    [
        ((1, 1), 100, [], 0, Scale(replicas=1)),
        ((1, 4), 100, [3], 0, Scale(replicas=3)),
        ((1, 4), 50, [3], 0, Scale(replicas=2)),
        ((1, 4), 10, [3, 8], 0, Scale(replicas=1)),
        ((1, 2), 100, [8], 0, Scale(replicas=2)),
        ((2, 4), 0, [8], 0, Scale(replicas=2)),
        ((0, 4), 0, [8], 0, Scale(replicas=1, temporary=True)),
        ((0, 4), 100, [], 0, Scale(replicas=1, temporary=True)),
        ((0, 4), 100, [2], 0, Scale(replicas=2)),
        ((1, 4), 100, [], 3, Scale(replicas=3)),  # proven again: it keeps what it has
        ((1, 2), 100, [], 3, Scale(replicas=2)),
    ],
)
def test_a_version_starts_with_its_share_of_what_it_takes_over(
    bounds: tuple[int, int], share: int, live: list[int], current: int, scale: Scale
) -> None:
    low, high = bounds
    assert seed(bounds=Bounds(min=low, max=high), share=share, live=live, current=current) == scale


FAILURE = VersionFailure(phase=Phase.WEIGHTS, reason="truncated", log_tail=("boom",))


@pytest.mark.parametrize(
    ("state", "want", "verdict"),
    [
        (version(replica(Phase.READY, ready=True)), 1, Ready(1)),
        (version(replica(Phase.FIRST_TOKEN, ready=True)), 1, Ready(1)),
        (version(failure=FAILURE), 1, Failed(Phase.WEIGHTS, "truncated", ("boom",))),
        (version(replica(Phase.READY, ready=True), failure=FAILURE), 1, Ready(1)),
        (version(), 1, Waiting(phase=Phase.SCHEDULE, seconds=5, detail="", ready=0, want=1)),
        (
            version(replica(Phase.WEIGHTS, detail="1 of 2 MB"), replica(Phase.READY, ready=True)),
            2,
            Waiting(phase=Phase.WEIGHTS, seconds=10, detail="1 of 2 MB", ready=1, want=2),
        ),
        (
            version(replica(Phase.ENGINE), replica(Phase.IMAGE)),
            2,
            Waiting(phase=Phase.IMAGE, seconds=10, detail="", ready=0, want=2),
        ),
        (
            version(replica(Phase.ENGINE)),
            2,
            Waiting(phase=Phase.SCHEDULE, seconds=5, detail="", ready=0, want=2),
        ),
        (
            version(replica(Phase.IMAGE, since=79)),
            1,
            Failed(Phase.IMAGE, "took longer than 20 s (rollout.timeouts.image)"),
        ),
        (
            version(replica(Phase.FIRST_TOKEN, since=94, detail="warm")),
            1,
            Failed(Phase.FIRST_TOKEN, "took longer than 5 s (rollout.timeouts.firstToken); it last said 'warm'"),
        ),
    ],
)
def test_where_a_version_is_on_its_way(state: VersionState, want: int, verdict: object) -> None:
    assert judge(state, want=want, clocks=CLOCKS, began=95, now=100) == verdict


def test_a_phase_clock_starts_when_its_phase_starts() -> None:
    late = version(replica(Phase.ENGINE, since=1_000))
    assert isinstance(judge(late, want=1, clocks=CLOCKS, began=0, now=1_039), Waiting)


def test_progress_reads_as_phase_seconds_detail_and_count() -> None:
    waiting = Waiting(phase=Phase.WEIGHTS, seconds=12.4, detail="120 of 269 MB", ready=0, want=1)
    assert str(waiting) == "weights 12 s: 120 of 269 MB (0 of 1 replica ready)"


def test_a_failure_names_service_version_phase_reason_and_the_last_lines() -> None:
    text = failure_text(service="chat", version="v2", hash="abc", failed=Failed(Phase.ENGINE, "no memory", ("a", "b")))
    assert text == (
        "service chat, version v2 (abc) failed in phase engine: no memory\nthe log's last lines:\n  | a\n  | b"
    )
