"""What the stack file itself has to say, as findings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from catalog import load as load_catalog
from infra.plan import Level, make
from infra.plan.file import error_finding, not_built_findings
from infra.stackfile import StackFileErrors, load
from tests.infra.plan.stacks import plan


def test_an_error_of_the_file_is_a_finding_with_its_line() -> None:
    with pytest.raises(StackFileErrors) as wrong:
        load({"services": {"chat": {"modle": "x", "model": "y"}}}, folder=Path("."))
    finding = error_finding(wrong.value.errors[0], "Pulumi.local.yaml")
    assert (finding.level, finding.rule, finding.path) == (Level.ERROR, "stack-file", "services.chat.modle")
    assert (finding.text, finding.fix) == ("is not a key here", "did you mean model?")


def test_what_cannot_be_realised_yet_is_planned_and_said() -> None:
    config = {"services": {"chat": {"method": "process"}}}
    stack = load(config, folder=Path("."), built_only=False)
    (finding,) = [each for each in not_built_findings(stack) if each.path == "services.chat.method"]
    assert (finding.level, finding.rule) == (Level.ERROR, "not-built")


def test_what_a_service_json_says_without_effect_is_a_warning(tmp_path: Path) -> None:
    raw = {
        "metadata": {"name": "chat", "cpu": 1, "memory": 4096, "cuda": "11.2"},
        "containers": [
            {"image": "r/x:1", "command": "python webui/webui_server.py --model-path=SmolLM2-135M-Instruct"}
        ],
    }
    (tmp_path / "service.json").write_text(json.dumps(raw))
    stack = load({"services": {"chat": {"eas": "service.json"}}}, folder=tmp_path)
    plan = make(stack, load_catalog())
    found = [each for each in plan.findings if each.rule == "eas-import"]
    assert {each.level for each in found} == {Level.WARNING}
    assert any("metadata.cuda" in each.text for each in found)


def test_a_whole_number_hashes_alike_however_it_is_written() -> None:
    """Pulumi writes a stack file's 1.0 as 1 for its program; `inferform plan` reads the file itself."""
    text = "services: {chat: {engine: scripted, engineArgs: {startSeconds: %s}}}"
    hashes = {plan(text % number).services[0].versions[0].hash for number in ("1", "1.0", "1.00")}
    assert len(hashes) == 1
