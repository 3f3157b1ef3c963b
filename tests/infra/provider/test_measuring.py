"""A start's phases, as a rollout sees them go by."""

from __future__ import annotations

from infra.measured import Measured
from infra.provider.measuring import Starts, durations, keep
from runtime.contract.host import ReplicaState, VersionRecord, VersionState
from runtime.contract.phases import Phase
from runtime.contract.version import Bounds, EngineKind, Method, VersionTemplate

SECONDS = {"image": 2.0, "firstToken": 0.5}


def state(*phases: tuple[str, Phase, float], types: tuple[str, ...] = ()) -> VersionState:
    template = VersionTemplate(method=Method.STANDARD, engine=EngineKind.SCRIPTED, instance_types=types)
    record = VersionRecord(service="chat", name="main", hash=template.hash(), template=template, bounds=Bounds())
    replicas = tuple(ReplicaState(replica=name, pid=None, phase=phase, since=at) for name, phase, at in phases)
    return VersionState(record=record, wanted=len(replicas), replicas=replicas)


def test_a_phase_lasts_until_the_next_one_that_was_seen() -> None:
    seen = {Phase.SCHEDULE: 10.0, Phase.IMAGE: 10.5, Phase.ENGINE: 14.0, Phase.FIRST_TOKEN: 15.0}
    assert durations(seen) == {"schedule": 0.5, "image": 3.5, "engine": 1.0}


def test_a_start_that_was_not_seen_whole_is_none() -> None:
    assert durations({Phase.FIRST_TOKEN: 15.0}) == {}
    assert durations({Phase.IMAGE: 1.0, Phase.WEIGHTS: 2.0}) == {}
    assert durations({Phase.IMAGE: 9.0, Phase.FIRST_TOKEN: 1.0}) == {}


def test_the_slowest_replica_that_began_meanwhile_counts() -> None:
    starts = Starts()
    for moment in (
        state(("a", Phase.IMAGE, 10), ("b", Phase.IMAGE, 10), ("old", Phase.FIRST_TOKEN, 1)),
        state(("a", Phase.FIRST_TOKEN, 12), ("b", Phase.WEIGHTS, 13)),
        state(("a", Phase.READY, 12), ("b", Phase.FIRST_TOKEN, 15)),
    ):
        starts.look(moment)
    assert starts.seconds(asked=15.0, answered=15.5) == {"image": 3.0, "weights": 2.0, "firstToken": 0.5}


def test_what_ran_already_is_no_start() -> None:
    starts = Starts()
    starts.look(state(("a", Phase.READY, 12)))
    assert starts.seconds(1.0, 2.0) == {}


def test_a_start_on_a_cluster_is_kept_where_one_type_can_have_been_its_place() -> None:
    kept: list[Measured] = []
    where = "kubernetes://prod/llm"
    assert keep(state(types=("g5.xlarge",)), SECONDS, where=where, write=kept.append) == ""
    keep(state(types=("g5.xlarge", "g5.2xlarge")), SECONDS, where=where, write=kept.append)
    keep(state(), SECONDS, where=where, write=kept.append)
    assert [(each.place, each.total, each.memory_bytes) for each in kept] == [("g5.xlarge", 2.5, 0)]


def test_what_cannot_be_kept_fails_no_rollout() -> None:
    def full(new: Measured) -> None:
        raise OSError("no space left")

    assert keep(state(), SECONDS, where="/s", write=full) == "what was measured could not be kept: no space left"
