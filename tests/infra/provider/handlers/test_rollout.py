"""Rollout: lease, seed, wait, prove, and on failure everything as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.provider.handlers.rollout import RolloutHandler
from infra.provider.hosts import Hosts
from infra.provider.operation import Cancellation, Operation, Refused
from infra.provider.rollout_run import Clock, RolloutInputs
from runtime.contract.host import VersionFailure, VersionRecord
from runtime.contract.phases import Phase
from runtime.contract.route import RouteTable, RouteVersion
from runtime.contract.version import Bounds, EngineKind, Method, VersionTemplate
from tests.infra.provider.conftest import Said
from tests.infra.provider.fake_host import FakeHost, Running

NEW, OLD = "new0000000", "old0000000"
TEMPLATE = VersionTemplate(method=Method.STANDARD, engine=EngineKind.SCRIPTED)


class FastClock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.time = 1_000.0

    def now(self) -> float:
        return self.time

    def sleep(self, cancellation: Cancellation, seconds: float) -> None:
        self.time += seconds
        cancellation.sleep(0)


@pytest.fixture
def handler() -> RolloutHandler:
    clock = FastClock()
    return RolloutHandler(Hosts(), Clock(clock.now, clock.sleep))


def declare(host: FakeHost, hash: str, *, live: int = 0, low: int = 1, high: int = 4) -> Running:
    bounds = Bounds(min=low, max=high)
    record = VersionRecord(service="chat", name=f"v-{hash[:3]}", hash=hash, template=TEMPLATE, bounds=bounds)
    host.versions["chat", hash] = running = Running(record, live=live)
    return running


def route(host: FakeHost, *hashes: str, stopped: bool = False) -> None:
    weights = {hash: RouteVersion(hash=hash, weight=100 // len(hashes)) for hash in hashes}
    host.routes["chat"] = RouteTable(service="chat", generation=1, versions=weights, stopped=stopped)


def inputs(host: FakeHost, hash: str = NEW, **changes: Any) -> tuple[dict[str, Any], RolloutInputs]:
    values = {
        "state": str(host.state), "endpoint": host.endpoint, "service": "chat", "hash": hash, "token": "t",
        "replicas": {"min": 1, "max": 4}, **changes,
    }  # fmt: skip
    return values, RolloutInputs.model_validate(values)


def test_a_first_version_is_proven_by_its_own_answer(
    handler: RolloutHandler, host: FakeHost, operation: Operation
) -> None:
    version = declare(host, NEW)
    id, outputs = handler.create(*inputs(host), operation)
    assert id == f"{host.state}|chat/{NEW}"
    assert outputs["proven"] is True
    assert host.proofs == [NEW]
    assert (version.live, version.leased) == (1, False)
    assert not {"token", "share"} & outputs.keys()


def test_capacity_is_carried_over_before_traffic_moves(
    handler: RolloutHandler, host: FakeHost, operation: Operation
) -> None:
    declare(host, OLD, live=3)
    route(host, OLD)
    version = declare(host, NEW)
    handler.create(*inputs(host), operation)
    assert version.live == 3
    assert host.versions["chat", OLD].live == 3


def test_a_version_with_min_0_is_proven_by_one_temporary_replica(
    handler: RolloutHandler, host: FakeHost, operation: Operation
) -> None:
    version = declare(host, NEW, low=0)
    handler.create(*inputs(host, replicas={"min": 0, "max": 4}), operation)
    assert f"PUT services/chat/versions/{NEW}/scale 1 temporary" in host.calls
    assert (version.live, version.temporary) == (0, None)


def test_a_proof_again_keeps_the_live_count(handler: RolloutHandler, host: FakeHost, operation: Operation) -> None:
    version = declare(host, NEW, live=3)
    route(host, NEW)
    handler.create(*inputs(host), operation)
    assert version.live == 3
    assert not any("scale" in call for call in host.calls)


FAILURE = VersionFailure(phase=Phase.WEIGHTS, reason="tensor lm_head is truncated", log_tail=("boom",))


def test_a_version_that_cannot_start_is_scaled_to_zero_and_said_why(
    handler: RolloutHandler, host: FakeHost, operation: Operation
) -> None:
    declare(host, OLD, live=2)
    route(host, OLD)
    version = declare(host, NEW)
    host.fails[NEW] = FAILURE
    with pytest.raises(Refused) as raised:
        handler.create(*inputs(host), operation)
    words = ("chat", "v-new", NEW, "weights", "truncated", "boom")
    assert all(word in str(raised.value) for word in words)
    assert (version.live, version.leased) == (0, False)
    assert host.versions["chat", OLD].live == 2


def test_a_clock_that_runs_out_names_its_setting(
    handler: RolloutHandler, host: FakeHost, operation: Operation, said: Said
) -> None:
    version = declare(host, NEW)
    host.phase = lambda _: Phase.DRAINING  # never starts
    with pytest.raises(Refused, match=r"schedule: took longer than 5 s \(rollout.timeouts.schedule\)") as raised:
        handler.create(*inputs(host, timeouts={"schedule": 5}), operation)
    assert "the last line" in str(raised.value)  # of the log, when the host has no failure
    assert version.live == 0
    assert "schedule 3 s (0 of 1 replica ready)" in said.text


def test_the_lease_is_renewed_while_it_waits(handler: RolloutHandler, host: FakeHost, operation: Operation) -> None:
    version = declare(host, NEW)
    host.phase = lambda _: Phase.DRAINING
    with pytest.raises(Refused):
        handler.create(*inputs(host, timeouts={"schedule": 30}), operation)
    assert 4 <= version.leases <= 5  # at its start, then every 8 s


@pytest.mark.parametrize(
    ("status", "answers_as", "words"),
    [
        (200, OLD, f"the version {OLD} answered instead"),
        (500, NEW, "the gateway answered 500"),
        (503, NEW, "firstToken is 5 s"),
        (401, NEW, "the gateway answered 401"),
    ],
)
def test_an_answer_that_proves_nothing_is_a_failure(
    handler: RolloutHandler, host: FakeHost, operation: Operation, status: int, answers_as: str, words: str
) -> None:
    version = declare(host, NEW)
    host.gateway_status, host.answers_as = status, {NEW: answers_as}
    with pytest.raises(Refused, match="phase first token: no generation was answered") as raised:
        handler.create(*inputs(host, timeouts={"firstToken": 5}), operation)
    assert words in str(raised.value)
    assert version.live == 0


def test_recreate_rests_the_old_version_while_the_new_one_comes_up(
    handler: RolloutHandler, host: FakeHost, operation: Operation
) -> None:
    old = declare(host, OLD, live=2)
    route(host, OLD)
    new = declare(host, NEW)
    handler.create(*inputs(host, strategy="recreate"), operation)
    rest = host.calls.index(f"PUT services/chat/versions/{OLD}/scale 0 temporary")
    assert rest < host.calls.index(f"PUT services/chat/versions/{NEW}/scale 2")
    assert new.live == 2
    assert (old.leased, old.wanted) == (True, 0)  # until the route has moved, or the lease ends


def test_a_failed_recreate_brings_the_old_version_back(
    handler: RolloutHandler, host: FakeHost, operation: Operation
) -> None:
    old = declare(host, OLD, live=2)
    route(host, OLD)
    declare(host, NEW)
    host.fails[NEW] = FAILURE
    with pytest.raises(Refused):
        handler.create(*inputs(host, strategy="recreate"), operation)
    assert (old.leased, old.wanted) == (False, 2)


def test_a_stopped_service_is_not_proven(handler: RolloutHandler, host: FakeHost, operation: Operation) -> None:
    declare(host, NEW)
    _, outputs = handler.create(*inputs(host, stopped=True), operation)
    assert outputs["proven"] is False
    assert host.proofs == []


def test_a_start_that_fails_leaves_the_stopped_service_at_zero(
    handler: RolloutHandler, host: FakeHost, operation: Operation
) -> None:
    version = declare(host, NEW, live=2)
    route(host, NEW, stopped=True)
    host.fails[NEW] = FAILURE
    with pytest.raises(Refused):
        handler.create(*inputs(host), operation)
    assert version.wanted == 0
    assert version.live == 2


@pytest.mark.parametrize(
    ("changes", "proofs"),
    [
        ({"timeouts": {"engine": 5}}, 0),
        ({"strategy": "recreate"}, 0),
        ({"replicas": {"min": 2, "max": 4}}, 1),
        ({}, 1),  # a repair
    ],
)
def test_only_what_touches_replicas_is_proven_again(
    handler: RolloutHandler, host: FakeHost, operation: Operation, changes: dict[str, Any], proofs: int
) -> None:
    declare(host, NEW, live=1)
    route(host, NEW)
    values, args = inputs(host, **changes)
    handler.update("id", inputs(host)[0], {"proven": True}, values, args, operation)
    assert len(host.proofs) == proofs


def test_cancel_takes_the_version_back(host: FakeHost, operation: Operation) -> None:
    version = declare(host, NEW)
    host.phase = lambda _: Phase.DRAINING

    def sleep(cancellation: Cancellation, seconds: float) -> None:
        cancellation.cancel()
        cancellation.check()

    handler = RolloutHandler(Hosts(), Clock(sleep=sleep))
    with pytest.raises(Refused, match="cancelled while it came up"):
        handler.create(*inputs(host), operation)
    assert (version.live, version.leased) == (0, False)


def test_a_serving_version_without_ready_replicas_is_drift(handler: RolloutHandler, host: FakeHost) -> None:
    declare(host, NEW, live=1)
    values, _ = inputs(host)
    assert handler.drift("id", values, {}) == ""
    host.fails[NEW] = FAILURE
    assert "truncated" in handler.drift("id", values, {})
    assert handler.drift("id", {**values, "stopped": True}, {}) == ""
    host.versions.clear()
    assert handler.drift("id", values, {}) == "the host does not know it"


def test_an_import_shows_no_token(handler: RolloutHandler, host: FakeHost, operation: Operation, state: Path) -> None:
    declare(host, NEW, live=1)
    route(host, NEW)
    found = handler.read(f"{state}|chat/{NEW}", {}, {}, operation)
    assert found is not None
    assert found[0]["token"].value == ""
    assert (found[0]["share"], found[1]["proven"]) == (100, True)


# Delete ---------------------------------------------------------------------------------------------------------------


def test_a_routed_version_is_kept_and_the_error_says_by_which_route(
    host: FakeHost, handler: RolloutHandler, operation: Operation
) -> None:
    declare(host, OLD)
    route(host, OLD)
    with pytest.raises(Refused, match=f"route of service chat still sends 100 % .* version {OLD} \\({OLD}\\)"):
        handler.delete("id", {}, inputs(host, OLD)[1], operation)
    assert not [call for call in host.calls if call.endswith("/drain")]


def test_an_unrouted_version_is_drained(host: FakeHost, handler: RolloutHandler, operation: Operation) -> None:
    declare(host, OLD)
    handler.delete("id", {}, inputs(host, OLD)[1], operation)
    assert host.calls[-1] == f"POST services/chat/versions/{OLD}/drain"


def test_a_version_that_is_gone_needs_no_drain(host: FakeHost, handler: RolloutHandler, operation: Operation) -> None:
    handler.delete("id", {}, inputs(host, OLD)[1], operation)
