"""The plugin as a real process, driven by a fake engine over gRPC."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from google.rpc import status_pb2
from pulumi.runtime import rpc
from pulumi.runtime.proto import plugin_pb2
from pulumi.runtime.proto import provider_pb2 as pb

from infra.provider.values import UNKNOWN, UNKNOWN_GUIDS, Secret, read_map, write_map
from infra.resources import VERSION, WAKE
from runtime.contract.host import GatewaySettings, VersionRecord
from runtime.contract.phases import Phase
from runtime.contract.version import Bounds, EngineKind, Method, VersionTemplate
from tests.infra.provider.fake_engine import FakeEngine, Plugin, plugin
from tests.infra.provider.fake_host import FakeHost, Running

TEMPLATE = VersionTemplate(method=Method.STANDARD, engine=EngineKind.SCRIPTED)
HASH = TEMPLATE.hash()


def urn(kind: str, name: str = "chat") -> str:
    return f"urn:pulumi:dev::proj::inferform:index:ModelService$inferform:index:{kind}::{name}"


@pytest.fixture(scope="module")
def engine() -> Iterator[FakeEngine]:
    with FakeEngine() as fake:
        yield fake


@pytest.fixture(scope="module")
def sockets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One folder of sockets for the module: the plugin's environment is set at its start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("r")))
        yield


@pytest.fixture
def state(sockets: None, tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture(scope="module")
def running(engine: FakeEngine, sockets: None) -> Iterator[Plugin]:
    """One plugin for all tests that leave it as it was."""
    with plugin(engine.address) as started:
        started.stub.Handshake(pb.ProviderHandshakeRequest(engine_address=engine.address))
        yield started


def rollout(host: FakeHost, **changes: Any) -> dict[str, Any]:
    bounds = Bounds()
    record = VersionRecord(service="chat", name="main", hash=HASH, template=TEMPLATE, bounds=bounds)
    host.versions["chat", HASH] = Running(record)
    return {
        "state": str(host.state), "endpoint": host.endpoint, "service": "chat", "hash": HASH,
        "replicas": {"min": 1, "max": 1}, "token": Secret("hush-hush"), **changes,
    }  # fmt: skip


def test_a_plugin_says_its_port_accepts_secrets_and_has_one_version(running: Plugin, engine: FakeEngine) -> None:
    answer = running.stub.Handshake(pb.ProviderHandshakeRequest(engine_address=engine.address))
    assert (answer.accept_secrets, answer.accept_outputs, answer.accept_resources) == (True, True, True)
    assert running.stub.GetPluginInfo(empty_pb2.Empty()).version == VERSION
    running.stub.Attach(plugin_pb2.PluginAttach(address=engine.address))
    configured = running.stub.Configure(pb.ConfigureRequest())
    assert (configured.supportsPreview, configured.acceptSecrets) == (True, True)
    assert len(running.lines) == 1  # the port is the one thing on stdout


def test_the_schema_is_valid_json_with_resources_components_and_types(running: Plugin) -> None:
    schema = json.loads(running.stub.GetSchema(pb.GetSchemaRequest()).schema)
    resources = schema["resources"]
    components = {name.rpartition(":")[2] for name, spec in resources.items() if spec.get("isComponent")}
    assert components == {"Gateway", "ModelService", "ResourceGroup", "ResourceQuota", "Stack"}
    assert {"Host", "Namespace", "Token", "Version", "Rollout", "Route"} == {
        name.rpartition(":")[2] for name, spec in resources.items() if not spec.get("isComponent")
    }
    assert resources["inferform:index:Token"]["properties"]["token"]["secret"] is True
    assert resources["inferform:index:Rollout"]["inputProperties"]["token"]["secret"] is True
    references = {word.split('"')[0] for word in json.dumps(schema).split("#/types/")[1:]}
    assert references <= schema["types"].keys()


def test_a_program_can_wake_the_plugin_before_it_has_anything_to_ask(running: Plugin) -> None:
    answer = running.stub.Invoke(pb.InvokeRequest(tok=WAKE))
    assert list(answer.failures) == []


def test_the_stack_file_is_no_configuration_of_the_provider(running: Plugin) -> None:
    news = {"services": '{"chat": {}}', "target": "{}", "version": VERSION}
    request = pb.CheckRequest(urn=urn("x"), news=write_map(news))
    assert read_map(running.stub.CheckConfig(request).inputs) == {"version": VERSION}
    olds = write_map({"version": "0.0.1"})
    diff = running.stub.DiffConfig(pb.DiffRequest(olds=olds, news=write_map(news)))
    assert (diff.changes, list(diff.replaces)) == (pb.DiffResponse.DIFF_NONE, [])


def test_check_fills_defaults_keeps_secrets_and_lets_every_unknown_pass(running: Plugin) -> None:
    for guid in sorted(UNKNOWN_GUIDS):
        news = {"state": "/s", "service": guid, "hash": HASH, "endpoint": guid, "token": Secret(guid)}
        answer = running.stub.Check(pb.CheckRequest(urn=urn("Rollout"), news=write_map(news)))
        assert list(answer.failures) == []
        inputs = read_map(answer.inputs)
        assert (inputs["surge"], inputs["strategy"], inputs["token"]) == (1, "surge", Secret(UNKNOWN))
    bad = running.stub.Check(pb.CheckRequest(urn=urn("Rollout", "a::b"), news=write_map({"state": "/s", "surge": 0})))
    assert {"surge", "service", "hash", "endpoint", "token"} == {failure.property for failure in bad.failures}


def test_diff_names_the_edited_line_and_says_that_nothing_restarts(running: Plugin, engine: FakeEngine) -> None:
    old = {"state": "/s", "service": "chat", "hash": HASH, "replicas": {"min": 1, "max": 1}, "name": "main"}
    new = {**old, "replicas": {"min": 1, "max": 4}}
    request = pb.DiffRequest(urn=urn("Version"), old_inputs=write_map(old), olds=write_map(old), news=write_map(new))
    diff = running.stub.Diff(request)
    assert list(diff.detailedDiff) == ["replicas.max"]
    assert (diff.hasDetailedDiff, list(diff.replaces)) == (True, [])
    assert engine.said("in place: replica bounds change, running replicas are not restarted")
    scaled = write_map({**old, "scaling": {"target": {"metric": "qps", "value": 10}}})
    diff = running.stub.Diff(pb.DiffRequest(urn=urn("Version"), old_inputs=write_map(old), news=scaled))
    assert {name.partition(".")[0] for name in diff.detailedDiff} == {"scaling"}
    assert list(diff.replaces) == []
    assert engine.said("in place: how it scales changes, running replicas are not restarted")
    moved = write_map({**old, "state": "/t"})
    diff = running.stub.Diff(pb.DiffRequest(urn=urn("Version"), old_inputs=write_map(old), news=moved))
    assert diff.detailedDiff["state"].kind == pb.PropertyDiff.UPDATE_REPLACE
    assert list(diff.replaces) == ["state"]


def test_without_a_host_an_unchanged_resource_has_a_diff_that_update_repairs(
    running: Plugin, engine: FakeEngine, state: Path
) -> None:
    inputs = write_map({"state": str(state), "service": "chat", "rotation": 1, "overlapSeconds": 600})
    request = pb.DiffRequest(urn=urn("Token"), old_inputs=inputs, olds=inputs, news=inputs)
    diff = running.stub.Diff(request)
    assert (diff.changes, list(diff.detailedDiff)) == (pb.DiffResponse.DIFF_SOME, ["present"])
    assert engine.said("the host is gone: this update repairs it")


def test_a_preview_knows_what_follows_from_the_inputs(running: Plugin) -> None:
    inputs = write_map({"state": "/s", "gateway": {"host": "127.0.0.1", "port": 9}})
    planned = read_map(
        running.stub.Create(pb.CreateRequest(urn=urn("Host"), properties=inputs, preview=True)).properties
    )
    assert (planned["endpoint"], planned["running"]) == ("http://127.0.0.1:9", UNKNOWN)


def test_a_rollout_shows_its_phases_and_never_the_token(running: Plugin, engine: FakeEngine, host: FakeHost) -> None:
    inputs = rollout(host)
    created = running.stub.Create(pb.CreateRequest(urn=urn("Rollout"), properties=write_map(inputs)))
    assert created.id == f"{host.state}|chat/{HASH}"
    assert read_map(created.properties)["proven"] is True
    assert any(request.ephemeral and "first token" in request.message for request in engine.logs)
    assert not engine.said("hush-hush")


def test_a_partial_failure_carries_id_and_outputs_in_the_status_details(running: Plugin, host: FakeHost) -> None:
    host.busy_port = "port 8070 is held by nginx (process 7)"
    host.settings = GatewaySettings()
    inputs = write_map({"state": str(host.state), "gateway": {"host": "127.0.0.1", "port": 8070}})
    with pytest.raises(grpc.RpcError) as raised:
        running.stub.Create(pb.CreateRequest(urn=urn("Host"), properties=inputs))
    assert isinstance(raised.value, grpc.Call)
    metadata = dict(raised.value.trailing_metadata() or ())
    [packed] = status_pb2.Status.FromString(metadata["grpc-status-details-bin"]).details
    detail = pb.ErrorResourceInitFailed()
    assert packed.Unpack(detail)
    assert (detail.id, list(detail.reasons)) == (str(host.state), [host.busy_port])
    assert read_map(detail.properties)["endpoint"] == "http://127.0.0.1:8070"


def test_a_refusal_has_words_and_no_traceback(running: Plugin, host: FakeHost) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        running.stub.Read(pb.ReadRequest(urn=urn("Version"), id="chat/abc"))
    assert isinstance(raised.value, grpc.Call)
    details = raised.value.details() or ""
    assert "has not the form STATE|SERVICE/HASH" in details
    assert "Traceback" not in details


def test_cancel_ends_a_rollout_that_waits(engine: FakeEngine, host: FakeHost) -> None:
    host.phase = lambda _: Phase.DRAINING
    request = pb.CreateRequest(urn=urn("Rollout"), properties=write_map(rollout(host)))
    with plugin(engine.address) as cancelled:
        future = cancelled.stub.Create.future(request)
        deadline = time.monotonic() + 10
        while not host.versions["chat", HASH].live and time.monotonic() < deadline:
            threading.Event().wait(0.01)
        cancelled.stub.Cancel(empty_pb2.Empty())
        error = future.exception(timeout=5)
    assert "cancelled while it came up" in str(error)
    assert host.versions["chat", HASH].live == 0


def test_forty_creates_wait_at_once(running: Plugin, host: FakeHost) -> None:
    inputs = [
        {"state": str(host.state), "service": f"s{number:03}", "rotation": 1, "overlapSeconds": 600}
        for number in range(40)
    ]
    calls = [
        running.stub.Create.future(pb.CreateRequest(urn=urn("Token"), properties=write_map(each))) for each in inputs
    ]
    tokens = {read_map(call.result(timeout=10).properties)["token"].value for call in calls}
    assert len(tokens) == 40
    assert host.epoch == 1


@pytest.mark.parametrize("by_hand", [False, True])
def test_the_plugin_ends_when_its_engine_does(by_hand: bool) -> None:
    with FakeEngine() as mortal:
        with plugin(*(() if by_hand else (mortal.address,))) as started:
            if by_hand:  # for PULUMI_DEBUG_PROVIDERS: the engine attaches later
                started.stub.Attach(plugin_pb2.PluginAttach(address=mortal.address))
            mortal.__exit__()
            assert started.process.wait(timeout=10) == 0


# Components -----------------------------------------------------------------------------------------------------------


def construct(running: Plugin, engine: FakeEngine, kind: str, inputs: dict[str, Any]) -> pb.ConstructResponse:
    return running.stub.Construct(
        pb.ConstructRequest(
            project="proj", stack="dev", monitorEndpoint=engine.address, parallel=4, type=f"inferform:index:{kind}",
            name="chat", inputs=write_map(inputs), accepts_output_values=True,
        )
    )  # fmt: skip


def test_a_model_service_is_constructed_with_its_resources(running: Plugin, engine: FakeEngine) -> None:
    secret = {rpc._special_sig_key: rpc._special_output_value_sig, "value": "/s", "dependencies": ["urn:pulumi:x"]}
    inputs = {"engine": "scripted", "replicas": {"min": 1.0, "max": 2.0}, "state": secret, "endpoint": "http://g:1"}
    answer = construct(running, engine, "ModelService", inputs)
    state = read_map(answer.state)
    assert state["endpoint"] == "http://127.0.0.1:8070/api/predict/chat"
    assert state["token"] == Secret("t")
    made = {each.type.rpartition(":")[2]: each for each in engine.registered if "ModelService" not in each.type}
    assert {"Token", "Version", "Rollout", "Route"} <= made.keys()
    assert made["Version"].inputs["replicas"] == {"min": 1, "max": 2}
    assert made["Rollout"].inputs["token"] == Secret("t")


def test_bad_inputs_of_a_component_are_named_by_property(running: Plugin, engine: FakeEngine) -> None:
    inputs = {"engin": "scripted", "state": "/s", "endpoint": "http://g:1"}
    with pytest.raises(grpc.RpcError) as raised:
        construct(running, engine, "ModelService", inputs)
    assert isinstance(raised.value, grpc.Call)
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert b"engin" in dict(raised.value.trailing_metadata() or ())["grpc-status-details-bin"]


def test_what_decides_the_hash_must_be_plain(running: Plugin, engine: FakeEngine) -> None:
    unknown = {rpc._special_sig_key: rpc._special_output_value_sig}
    with pytest.raises(grpc.RpcError) as raised:
        construct(running, engine, "ModelService", {"model": unknown, "state": "/s", "endpoint": "e"})
    assert isinstance(raised.value, grpc.Call)
    assert b"must be a plain value" in dict(raised.value.trailing_metadata() or ())["grpc-status-details-bin"]
