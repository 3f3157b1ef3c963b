"""The plugin's functions, called over gRPC as a program in any language does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2 as pb

from infra.provider.values import UNKNOWN, read_map, write_map
from tests.infra.provider.fake_engine import FakeEngine, Plugin, plugin

CHAT = {"services": {"chat": {"model": "SmolLM2-135M-Instruct", "replicas": {"min": 1, "max": 2}}}}


@pytest.fixture(scope="module")
def running() -> Iterator[Plugin]:
    with FakeEngine() as engine, plugin(engine.address) as started:
        yield started


def call(running: Plugin, name: str, **arguments: Any) -> tuple[dict[str, Any], list[str]]:
    """(what it gives back, why it refused)"""
    answer = running.stub.Invoke(pb.InvokeRequest(tok=f"inferform:index:{name}", args=write_map(arguments)))
    return read_map(getattr(answer, "return")), [failure.reason for failure in answer.failures]


def test_a_configuration_is_planned(running: Plugin, tmp_path: Path) -> None:
    said, failures = call(running, "plan", config=CHAT, folder=str(tmp_path))
    assert (said["ok"], failures) == (True, [])
    assert "SmolLM2-135M-Instruct" in said["text"]
    assert json.loads(said["plan"])["services"][0]["name"] == "chat"


def test_errors_of_the_configuration_are_findings(running: Plugin, tmp_path: Path) -> None:
    said, failures = call(running, "plan", config={"services": {"chat": {"modle": "x"}}}, folder=str(tmp_path))
    assert (said["ok"], failures) == (False, [])
    assert {"services.chat.modle"} <= {finding["path"] for finding in said["findings"]}


def test_a_broken_lock_file_is_a_failure(running: Plugin, tmp_path: Path) -> None:
    (tmp_path / "inferform.lock").write_text("{")
    said, failures = call(running, "plan", config=CHAT, folder=str(tmp_path))
    assert said == {}
    assert "inferform.lock" in failures[0]


def test_fit_says_how_many_gpus_and_how_far(running: Plugin) -> None:
    said, failures = call(running, "fit", model="Qwen2.5-7B-Instruct", gpu="nvidia-a10", context=4096)
    assert (said["fits"], said["gpus"], failures) == (True, 1, [])
    assert said["terms"]["weights"] == 15_231_233_024
    assert sum(said["terms"].values()) <= said["roomBytes"]
    assert not call(running, "fit", model="Qwen2.5-72B-Instruct", gpu="tesla-t4")[0]["fits"]


def test_an_unknown_name_is_a_failure_with_the_nearest(running: Plugin) -> None:
    assert "did you mean" in call(running, "fit", model="Qwen2.5-7B-Instrukt", gpu="nvidia-a10")[1][0]
    assert "not a function" in call(running, "guess")[1][0]


def test_unknown_arguments_give_no_answer_yet(running: Plugin) -> None:
    assert call(running, "fit", model=UNKNOWN, gpu="nvidia-a10") == ({}, [])


def test_the_schema_has_both_with_their_arguments(running: Plugin) -> None:
    functions = json.loads(running.stub.GetSchema(pb.GetSchemaRequest()).schema)["functions"]
    assert set(functions) == {"inferform:index:plan", "inferform:index:fit"}
    assert functions["inferform:index:fit"]["inputs"]["required"] == ["model", "gpu"]
