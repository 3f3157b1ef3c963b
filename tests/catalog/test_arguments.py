"""What engines take as arguments."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from catalog import argument_problems, arguments_of, command_line
from runtime.contract.paths import vllm_python

ROOT = Path(__file__).resolve().parents[2]


def test_a_misspelt_key_names_the_nearest() -> None:
    [problem] = argument_problems("vllm", {"gpuMemoryUtilisation": 0.5})
    assert (problem.key, problem.nearest) == ("gpuMemoryUtilisation", "gpuMemoryUtilization")


def test_a_value_of_another_kind_or_no_choice_is_refused() -> None:
    assert [problem.reason for problem in argument_problems("vllm", {"enforceEager": "yes"})] == [
        "must be true or false"
    ]
    [problem] = argument_problems("transformers", {"dtype": "bfloat"})
    assert problem.nearest == "bfloat16"


def test_what_is_right_has_no_problems() -> None:
    assert argument_problems("vllm", {"enforceEager": True, "dtype": "auto", "hfOverrides": {"a": 1}}) == []


def test_what_vllms_server_needs_for_tools_is_known_and_where_it_listens_is_not() -> None:
    given = {"enableAutoToolChoice": True, "toolCallParser": "hermes"}
    assert argument_problems("vllm", given) == []
    assert command_line("vllm", given) == ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"]
    assert [problem.key for problem in argument_problems("vllm", {"port": 1, "apiKey": "x"})] == ["port", "apiKey"]


def test_an_engine_without_a_list_checks_for_itself() -> None:
    assert arguments_of("scripted") is None
    assert argument_problems("scripted", {"text": "x"}) == []


def test_objects_are_given_as_json() -> None:
    assert command_line("vllm", {"hfOverrides": {"a": 1}}) == ["--hf-overrides", '{"a": 1}']


def test_the_list_is_what_vllms_own_parser_says() -> None:
    said = subprocess.run(
        [vllm_python(), ROOT / "tools" / "vllm" / "arguments.py"], capture_output=True, text=True, check=True
    ).stdout
    listed = json.loads((ROOT / "catalog" / "arguments" / "vllm.json").read_text())
    assert json.loads(said) == listed
