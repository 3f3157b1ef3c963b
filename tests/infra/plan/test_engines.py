"""What an engine takes is checked before anything starts: arguments, adapters, and whether it is set up at all."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tests.infra.plan.stacks import machine, plan

VLLM = "services: {chat: {model: SmolLM2-135M-Instruct, method: vllm%s}}"


def test_a_misspelt_engine_argument_is_named_with_the_nearest() -> None:
    [error] = plan(VLLM % ", engineArgs: {enforceEagr: true}").errors
    assert (error.rule, error.path) == ("engine-argument", "services.chat.engineArgs.enforceEagr")
    assert error.fix == "enforceEager"


def test_adapters_need_an_engine_that_has_them() -> None:
    text = "services: {chat: {model: SmolLM2-135M-Instruct, adapters: {legal: hf://org/legal}}}"
    assert "engine-adapters" in {error.rule for error in plan(text).errors}


def test_an_adapter_is_a_folder_with_its_own_config(tmp_path: Path) -> None:
    text = VLLM % ", adapters: {legal: ./legal}"
    (tmp_path / "legal").mkdir()
    [error] = plan(text, folder=tmp_path).errors
    assert (error.rule, error.path) == ("adapter-folder", "services.chat.adapters.legal")
    (tmp_path / "legal" / "adapter_config.json").write_text("{}")
    (tmp_path / "legal" / "adapter_model.safetensors").write_bytes(b"x" * 1000)
    planned = plan(text, folder=tmp_path)
    assert not planned.errors
    version = planned.services[0].versions[0]
    assert version.template.adapters["legal"].digest
    assert {term.name: term.bytes for term in version.terms}["adapters"] == 1000


def test_engine_vllm_must_be_set_up_on_this_machine() -> None:
    missing = dataclasses.replace(machine(24), vllm=False)
    [error] = plan(VLLM % "", on=missing).errors
    assert (error.rule, error.fix) == ("vllm-missing", "run scripts/setup --vllm")
