"""Version and Route against a host that answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.hostclient import HostGone, HostProblem
from infra.provider.handlers import route as route_module
from infra.provider.handlers.base import InitFailed
from infra.provider.handlers.route import RouteHandler, RouteInputs
from infra.provider.handlers.version import VersionHandler, VersionInputs
from infra.provider.hosts import Hosts, said
from infra.provider.operation import Cancelled, Operation, Refused
from infra.provider.values import UNKNOWN
from runtime.contract.version import EngineKind, Method, VersionTemplate
from tests.infra.provider.fake_host import FakeHost

TEMPLATE = VersionTemplate(method=Method.STANDARD, engine=EngineKind.SCRIPTED, engine_args={"text": "hi"})
HASH = TEMPLATE.hash()


def version(state: Path, **changes: Any) -> tuple[dict[str, Any], VersionInputs]:
    values = {
        "state": str(state), "service": "chat", "name": "main", "hash": HASH,
        "template": TEMPLATE.model_dump(mode="json", by_alias=True, exclude_none=True),
        "replicas": {"min": 1, "max": 2}, **changes,
    }  # fmt: skip
    return values, VersionInputs.model_validate(values)


def route(state: Path, **changes: Any) -> tuple[dict[str, Any], RouteInputs]:
    versions = {"main": {"hash": HASH, "weight": 100}}
    values = {"state": str(state), "gateway": "http://g:1", "service": "chat", "versions": versions, **changes}
    return values, RouteInputs.model_validate(values)


# Version --------------------------------------------------------------------------------------------------------------


def test_a_version_is_declared_with_its_urn_and_keeps_no_second_copy(host: FakeHost, operation: Operation) -> None:
    id, outputs = VersionHandler(Hosts()).create(*version(host.state), operation)
    assert id == f"{host.state}|chat/{HASH}"
    assert "template" not in outputs
    assert host.versions["chat", HASH].record.urn == operation.urn


def test_the_hash_must_be_the_templates() -> None:
    values, _ = version(Path("/s"), hash="0000000000")
    _, [failure] = VersionHandler(Hosts()).check({}, values, Operation())
    assert (failure.property, HASH in failure.reason) == ("hash", True)


def test_an_unknown_input_is_checked_when_it_is_known() -> None:
    values, _ = version(Path("/s"))
    assert VersionHandler(Hosts()).check({}, {**values, "state": UNKNOWN}, Operation())[1] == []
    _, failures = VersionHandler(Hosts()).check({}, {**values, "state": UNKNOWN, "name": 7}, Operation())
    assert [failure.property for failure in failures] == ["name"]


def test_lost_or_altered_versions_are_drift(host: FakeHost, operation: Operation) -> None:
    handler = VersionHandler(Hosts())
    values, args = version(host.state)
    id, outputs = handler.create(values, args, operation)
    assert handler.drift(id, values, outputs) == ""
    host.versions["chat", HASH].record = version(host.state, replicas={"min": 0, "max": 9})[1].record()
    assert "bounds" in handler.drift(id, values, outputs)
    found = handler.read(id, values, outputs, operation)
    assert found is not None
    assert found[0] == {**values, "replicas": {"min": 0, "max": 9}}
    host.versions.clear()
    assert handler.drift(id, values, outputs) == "the host does not know it"
    assert handler.read(id, values, outputs, operation) is None


def test_a_refresh_changes_nothing_and_an_import_finds_everything(host: FakeHost, operation: Operation) -> None:
    handler = VersionHandler(Hosts())
    values, args = version(host.state)
    id, outputs = handler.create(values, args, operation)
    assert handler.read(id, values, outputs, operation) == (values, outputs)
    imported = handler.read(id, {}, {}, operation)
    assert imported is not None
    assert VersionInputs.model_validate(imported[0]) == args


def test_an_import_without_a_host_is_an_error(state: Path, operation: Operation) -> None:
    with pytest.raises(HostGone, match="no host answers"):
        VersionHandler(Hosts()).read(f"{state}|chat/{HASH}", {}, {}, operation)


def test_what_never_had_a_host_is_deleted_already(state: Path, operation: Operation) -> None:
    values, args = version(state)
    VersionHandler(Hosts()).delete("id", values, args, operation)
    with pytest.raises(Refused, match="Host resource makes one"):
        VersionHandler(Hosts()).create(values, args, operation)


def test_an_older_run_is_refused_in_words(host: FakeHost, operation: Operation) -> None:
    old = Hosts()
    VersionHandler(old).create(*version(host.state), operation)
    VersionHandler(Hosts()).create(*version(host.state), operation)
    with pytest.raises(HostProblem, match="StaleEpoch") as raised:
        VersionHandler(old).create(*version(host.state), operation)
    assert "a newer run of Pulumi has taken over" in said(raised.value)


def test_one_epoch_a_run_and_none_for_reading(host: FakeHost, operation: Operation) -> None:
    hosts = Hosts()
    values, args = version(host.state)
    VersionHandler(hosts).drift("id", values, {})
    assert host.epoch == 0
    for _ in range(3):
        VersionHandler(hosts).create(values, args, operation)
    assert host.epoch == 1


# Route ----------------------------------------------------------------------------------------------------------------


def test_a_route_returns_when_it_is_applied(host: FakeHost, operation: Operation) -> None:
    VersionHandler(Hosts()).create(*version(host.state), operation)
    id, outputs = RouteHandler(Hosts()).create(*route(host.state), operation)
    assert (id, outputs["generation"], outputs["endpoint"]) == (f"{host.state}|chat", 1, "http://g:1/api/predict/chat")


def test_a_route_that_no_gateway_applies_is_a_partial_failure(
    host: FakeHost, operation: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(route_module, "APPLY_SECONDS", 0.1)
    VersionHandler(Hosts()).create(*version(host.state), operation)
    host.applies = False
    with pytest.raises(InitFailed, match="no ready gateway applied generation 1"):
        RouteHandler(Hosts()).create(*route(host.state), operation)


def test_waiting_for_a_gateway_ends_at_once_when_cancelled(host: FakeHost, operation: Operation) -> None:
    VersionHandler(Hosts()).create(*version(host.state), operation)
    host.applies = False
    operation.cancellation.cancel()
    with pytest.raises(Cancelled):
        RouteHandler(Hosts()).create(*route(host.state), operation)


def test_a_table_changed_by_another_hand_is_drift_and_seen_by_a_refresh(host: FakeHost, operation: Operation) -> None:
    VersionHandler(Hosts()).create(*version(host.state), operation)
    handler = RouteHandler(Hosts())
    values, args = route(host.state)
    id, outputs = handler.create(values, args, operation)
    assert handler.drift(id, values, outputs) == ""
    assert handler.read(id, values, outputs, operation) == (values, outputs)
    host.routes["chat"] = host.routes["chat"].model_copy(update={"webui": True, "generation": 7})
    assert handler.drift(id, values, outputs) == "the host has another table"
    found = handler.read(id, values, outputs, operation)
    assert found is not None
    assert (found[0], found[1]["generation"]) == ({**values, "webui": True}, 7)


def test_weights_must_be_a_whole(state: Path) -> None:
    values, _ = route(state, versions={"main": {"hash": HASH, "weight": 90}})
    _, [failure] = RouteHandler(Hosts()).check({}, values, Operation())
    assert "weights sum to 90" in failure.reason


def test_the_url_is_known_before_anything_exists(state: Path) -> None:
    values, _ = route(state)
    planned = RouteHandler(Hosts()).planned(values, None)
    assert (planned["endpoint"], planned["generation"]) == ("http://g:1/api/predict/chat", UNKNOWN)
