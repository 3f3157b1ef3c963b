"""What a change costs, in a preview, against what the stack's last run left serving."""

from __future__ import annotations

from typing import Any

import pytest

from components import Stack
from infra.plan import Lock
from tests.components.conftest import Program
from tests.infra.plan.stacks import IMAGES


@pytest.fixture(autouse=True)
def locked(program: Program) -> None:
    (program.folder / "inferform.lock").write_text(Lock(images=IMAGES).text())


def config(most: int) -> dict[str, Any]:
    service = {"model": "SmolLM2-135M-Instruct", "replicas": {"min": 1, "max": most}}
    resources = {"instanceTypes": ["m7i.2xlarge"]}
    return {"target": {"kind": "kubernetes"}, "services": {"chat": {**service, "resources": resources}}}


def said(program: Program, most: int) -> str:
    del program.logs[:]
    program(lambda: Stack("dev", config(most)), preview=True)
    [plan] = [text for _, text in program.logs if "SERVICE" in text]
    return " ".join(plan.split())


def test_a_first_preview_costs_everything(program: Program) -> None:
    assert "cost against what serves now: +0.40..+0.81 USD/h: chat +0.40..+0.81" in said(program, 2)


def test_the_next_preview_costs_the_edit(program: Program) -> None:
    stack = program(lambda: Stack("dev", config(2)))
    program.declared.outputs = {"services": {"chat": {"plan": stack.services["chat"]["plan"], "token": "hush"}}}
    assert "cost against what serves now: +0.00..+0.40 USD/h: chat +0.00..+0.40" in said(program, 3)
    assert "cost against what serves now: +0.00 USD/h" in said(program, 2)


@pytest.mark.parametrize("outputs", [{"other": 1}, {"services": "text"}])
def test_outputs_of_another_program_say_nothing(program: Program, outputs: dict[str, Any]) -> None:
    program.declared.outputs = outputs
    assert "against what serves" not in said(program, 2)


def test_nothing_costs_anything_here(program: Program) -> None:
    program(lambda: Stack("dev", {"services": {"chat": {"engine": "scripted"}}}), preview=True)
    assert not any("against what serves" in text for _, text in program.logs)
