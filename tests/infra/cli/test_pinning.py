"""`inferform lock` and `inferform catalog update`."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from catalog import load
from infra.cli.app import app
from infra.plan import read_lock
from tests.runtime.replica.sources.hubs import COMMIT, Hub, huggingface

CONFIG = json.dumps(load().models["Qwen2.5-0.5B-Instruct"].config).encode()
HUB_STACK = "config:\n  inferform:services:\n    chat: {model: 'hf://org/tiny'}\n"


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(arguments))
    return done.exit_code, done.output


def test_a_project_that_needs_no_pins_gets_an_empty_file(project: Path) -> None:
    assert run("lock") == (0, "inferform.lock: 0 models, 0 instance types, nothing changed\n")
    lock = read_lock(project)
    assert lock is not None
    assert not lock.models


async def test_a_hub_is_asked_once_and_then_never_again(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "Pulumi.local.yaml").write_text(HUB_STACK)
    code, said = await asyncio.to_thread(run, "plan")
    assert code == 1
    assert "lock-missing" in said
    async with huggingface(Hub({"config.json": CONFIG, "model.safetensors": bytes(9000)})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        code, said = await asyncio.to_thread(run, "lock")
    assert code == 0
    assert f"+ hf://org/tiny {COMMIT}" in said
    code, said = await asyncio.to_thread(run, "lock")  # the hub is gone
    assert (code, "nothing changed" in said) == (0, True)
    assert (await asyncio.to_thread(run, "plan"))[0] == 0


async def test_a_hub_that_is_not_there_writes_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "Pulumi.local.yaml").write_text(HUB_STACK)
    async with huggingface(Hub({})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        code, said = await asyncio.to_thread(run, "lock")
    assert code == 1
    assert "hf://org/tiny" in said
    assert read_lock(project) is None


def test_a_stack_file_with_errors_is_not_locked_and_another_one_keeps_its_pins(project: Path) -> None:
    (project / "Pulumi.other.yaml").write_text("config: {inferform:services: {chat: {modle: x}}}\n")
    code, said = run("lock", "--stack", "other")
    assert code == 1
    assert "modle" in said
    code, said = run("lock", "--stack", "local")
    assert code == 0
    assert "Pulumi.other.yaml has errors: its entries were kept as they are" in said


def test_an_update_says_what_it_would_update(project: Path) -> None:
    assert run("catalog", "update")[0] == 2
    code, said = run("catalog", "update", "--prices", "--type", "g5.xlarg")
    assert code == 1
    assert "g5.xlarg is not in the catalog" in said


def test_a_plan_is_written_as_markdown_and_as_a_page(project: Path) -> None:
    code, said = run("plan", "--output", "markdown", "--html", "plan.html")
    assert code == 0
    assert said.startswith("### Plan for target local: passes")
    assert (project / "plan.html").read_text().startswith("<!doctype html>")


EKS = """config:
  inferform:target: {kind: eks}
  inferform:services:
    chat: {engine: scripted, replicas: {min: 1, max: MAX}, resources: {instanceTypes: [c7i.2xlarge]}}
"""


def git(folder: Path, *arguments: str) -> None:
    author = {
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
    }
    subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True, env={**os.environ, **author})


def test_a_change_costs_what_it_adds_to_a_revision_or_another_file(project: Path) -> None:
    stack_file = project / "Pulumi.local.yaml"
    stack_file.write_text(EKS.replace("MAX", "2"))
    git(project, "init", "-q")
    git(project, "add", ".")
    git(project, "commit", "-qm", "one")
    stack_file.write_text(EKS.replace("MAX", "4"))
    _, said = run("plan", "--against", "HEAD")
    assert "cost against what serves now: +0.00..+0.71 USD/h" in said
    (project / "before.yaml").write_text(EKS.replace("MAX", "3"))
    _, said = run("plan", "--against", "before.yaml")
    assert "cost against what serves now: +0.00..+0.36 USD/h" in said
    code, said = run("plan", "--against", "nowhere")
    assert code == 2
    assert "neither a stack file nor a git revision" in said
