"""The policy pack: resources back to a configuration, findings at their resources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format, struct_pb2
from pulumi.runtime.proto import analyzer_pb2 as pb

from infra.policy._analyzer import Analyzer
from infra.policy._stack import Resource, config_of, whole_numbers
from tests.infra.plan.stacks import machine

SERVICE = {"model": "SmolLM2-135M-Instruct", "replicas": {"min": 1.0, "max": 4.0}}


def resource(kind: str, name: str, **properties: Any) -> Resource:
    return Resource(type=f"inferform:index:{kind}", name=name, urn=f"urn:{kind}::{name}", properties=properties)


def test_services_groups_and_quotas_become_a_configuration() -> None:
    config = config_of(
        [
            resource("ModelService", "chat", **SERVICE, state="/s", endpoint="http://x"),
            resource("ResourceGroup", "a10", instanceTypes=["g5.xlarge"], nodes={"max": 2.0}),
            resource("ResourceQuota", "nlp", resourceGroup="a10", gpus=2.0),
            resource("Version", "chat-abc", hash="abc"),
        ]
    )
    assert config == {
        "services": {"chat": {"model": "SmolLM2-135M-Instruct", "replicas": {"min": 1, "max": 4}}},
        "resourceGroups": {"a10": {"instanceTypes": ["g5.xlarge"], "nodes": {"max": 2}}},
        "quotas": {"nlp": {"resourceGroup": "a10", "gpus": 2}},
    }


def test_a_stack_component_has_been_checked_already_and_nothing_else_concerns_us() -> None:
    assert config_of([resource("Stack", "stack"), resource("ModelService", "chat", **SERVICE)]) is None
    assert config_of([Resource(type="aws:s3:Bucket", name="b", urn="u", properties={})]) is None


def test_the_wires_doubles_become_whole_numbers_again() -> None:
    assert whole_numbers({"a": [1.0, 0.5, True, "1.0"]}) == {"a": [1, 0.5, True, "1.0"]}


def analyzed(folder: Path, **services: dict[str, Any]) -> list[pb.AnalyzeDiagnostic]:
    """What the analyzer says at the end of a preview of these services."""
    analyzer = Analyzer(folder)
    ended = []
    for name, declared in services.items():
        properties = json_format.ParseDict(declared, struct_pb2.Struct())
        urn, kind = f"urn::{name}", "inferform:index:ModelService"
        analyzer.Analyze(pb.AnalyzeRequest(type=kind, name=name, urn=urn, properties=properties), None)
        ended.append(pb.AnalyzerResource(type=kind, name=name, urn=urn))  # with its outputs, at this point
    return list(analyzer.AnalyzeStack(pb.AnalyzeStackRequest(resources=ended), None).diagnostics)


@pytest.fixture(autouse=True)
def _a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.policy._analyzer.read_machine", lambda: machine(24, cpus=4))


def test_services_that_fit_alone_and_not_together_stop_the_update(tmp_path: Path) -> None:
    assert not [each for each in analyzed(tmp_path, one=SERVICE) if each.enforcementLevel == pb.MANDATORY]
    [stopped] = [each for each in analyzed(tmp_path, one=SERVICE, two=SERVICE) if each.enforcementLevel == pb.MANDATORY]
    assert stopped.urn == "urn::two"
    assert "[fit-memory]" in stopped.message


def test_errors_of_a_declaration_are_said_at_its_resource(tmp_path: Path) -> None:
    [wrong] = analyzed(tmp_path, chat={"modle": "x", "engine": "scripted"})
    assert (wrong.urn, wrong.policyName) == ("urn::chat", "plan")
    assert "services.chat.modle" in wrong.message


def test_a_broken_lock_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "inferform.lock").write_text("{")
    [wrong] = analyzed(tmp_path, chat=SERVICE)
    assert "inferform.lock" in wrong.message
