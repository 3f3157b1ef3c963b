"""What `inferform status` says about counts."""

from __future__ import annotations

from typing import Any

import pytest

from infra.cli.status import Status, as_text, state
from runtime.contract.host import GatewayState, HostInfo, ReplicaState, RouteState, VersionRecord, VersionState
from runtime.contract.phases import Phase
from runtime.contract.route import RouteTable, RouteVersion
from runtime.contract.version import Bounds, EngineKind, Method, VersionTemplate

TEMPLATE = VersionTemplate(method=Method.STANDARD, engine=EngineKind.SCRIPTED)


def status(*, wanted: int, ready: int, bounds: Bounds, **fields: Any) -> Status:
    record = VersionRecord(service="chat", name="main", hash=TEMPLATE.hash(), template=TEMPLATE, bounds=bounds)
    replicas = tuple(
        ReplicaState(replica=f"r{number}", pid=1, phase=Phase.READY, since=0, ready=number < ready)
        for number in range(wanted)
    )
    version = VersionState(record=record, wanted=wanted, replicas=replicas, routed=True, **fields)
    table = RouteTable(service="chat", versions={"main": RouteVersion(hash=TEMPLATE.hash(), weight=100)})
    host = HostInfo(
        contract=1, stack="a/b/c", state_folder="/s", pid=1, incarnation="i", epoch=1, gateway=GatewayState(ready=True)
    )
    return Status(
        host=host, services={"chat": [version]}, routes={"chat": RouteState(table=table, applied=0)}, drift=()
    )


def test_a_count_that_the_autoscaler_set_is_shown_with_its_reason() -> None:
    reason = "46 requests per second, target 10 per replica"
    text = as_text(status(wanted=5, ready=5, bounds=Bounds(min=1, max=8), because=reason), now=10)
    assert "5 of 5 wanted ready (bounds 1..8)" in text
    assert f"    scaled: {reason}\n" in text
    assert "scaled:" not in as_text(status(wanted=1, ready=1, bounds=Bounds(), because=reason), now=10)


@pytest.mark.parametrize(
    ("wanted", "ready", "word"), [(2, 2, "serving"), (2, 1, "serving"), (1, 0, "starting"), (0, 0, "asleep")]
)
def test_a_service_without_replicas_sleeps(wanted: int, ready: int, word: str) -> None:
    assert state(status(wanted=wanted, ready=ready, bounds=Bounds(min=0, max=2)), "chat") == word
