"""`inferform stop` and `start`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.cli.app import app
from infra.cli.edit import set_stopped
from infra.cli.failure import Failure
from tests.infra.cli.conftest import STACK_FILE

run = CliRunner().invoke


def fake_pulumi(folder: Path, monkeypatch: pytest.MonkeyPatch, status: int = 0) -> Path:
    """A `pulumi` on PATH that writes down how it was called."""
    called = folder / "called"
    program = folder / "bin" / "pulumi"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\necho "$PWD: $*" >> {called}\nexit {status}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return called


def test_stop_changes_one_key_and_keeps_everything_else(project: Path) -> None:
    result = run(app, ["stop", "chat", "--edit-only"])
    assert (result.exit_code, result.output) == (0, "Pulumi.local.yaml: services.chat: stopped: true was set\n")
    file = project / "Pulumi.local.yaml"
    assert file.read_text() == STACK_FILE.replace("chat: {model", "chat: {stopped: true, model")
    started = run(app, ["start", "chat", "--edit-only"])
    assert started.output == "Pulumi.local.yaml: services.chat: stopped: false was set\n"
    assert file.read_text() == STACK_FILE.replace("chat: {model", "chat: {stopped: false, model")
    assert "is not stopped already" in run(app, ["start", "chat", "--edit-only"]).output


def test_stop_in_block_style_adds_one_line() -> None:
    edited = set_stopped(STACK_FILE, "other", True)
    assert [line for line in edited.splitlines() if line not in STACK_FILE.splitlines()] == ["      stopped: true"]
    assert set_stopped(edited, "other", False) == edited.replace("stopped: true", "stopped: false")


def test_indented_lists_and_long_lines_stay_as_they_are() -> None:
    text = (
        "config:\n    inferform:services:\n        chat:\n            storage:\n                - mountPath: /a\n"
        f"                  source: empty://\n            env: {{A: {'x ' * 80}x}}\n            model: a\n"
    )
    assert set_stopped(text, "chat", True) == text.replace(
        "        chat:\n", "        chat:\n            stopped: true\n"
    )


def test_a_file_that_an_edit_might_bend_is_left_alone() -> None:
    text = "base: &base {model: a}\nconfig:\n  inferform:services:\n    one: *base\n    two: *base\n"
    with pytest.raises(Failure, match="cannot be edited"):
        set_stopped(text, "one", True)


def test_stop_runs_the_real_up_in_the_projects_folder(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called = fake_pulumi(project, monkeypatch)
    result = run(app, ["stop", "chat"])
    assert result.exit_code == 0
    assert "$ pulumi up --yes --skip-preview --stack local" in result.output
    assert called.read_text() == f"{project}: up --yes --skip-preview --stack local\n"


def test_a_failed_up_keeps_the_edit_and_says_how_to_undo_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_pulumi(project, monkeypatch, status=255)
    result = run(app, ["stop", "chat"])
    assert result.exit_code == 1
    assert "`inferform start chat`" in result.stderr
    assert "stopped: true" in (project / "Pulumi.local.yaml").read_text()


def test_without_pulumi_nothing_is_edited(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    result = run(app, ["stop", "chat"])
    assert result.exit_code == 1
    assert "scripts/up" in result.stderr
    assert (project / "Pulumi.local.yaml").read_text() == STACK_FILE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("config: {}\n", "no mapping `inferform:services`"),
        ("a: [\n", "not YAML"),
        (STACK_FILE, "declares no service chatt"),
    ],
)
def test_a_file_that_cannot_be_edited_is_a_failure(text: str, message: str) -> None:
    with pytest.raises(Failure, match=message):
        set_stopped(text, "chatt", True)
