"""`inferform image build`: its words, its JSON, and the lock file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.cli.app import app
from infra.plan import read_lock
from tests.runtime.image.fake_engine import DIGEST, fake_engine


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["image", "build", *arguments])
    return done.exit_code, done.stdout


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a fake buildah that is the first on PATH."""
    folder = tmp_path / "engine"
    folder.mkdir()
    fake_engine(folder)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def test_a_built_image_is_pinned_by_its_digest(project: Path, engine: Path) -> None:
    code, said = run("--push", "registry.example/team")
    assert code == 0
    assert f"digest  {DIGEST}" in said
    assert f"inferform.lock: + image:standard registry.example/team@{DIGEST}" in said
    assert "not pushed" not in said
    lock = read_lock(project)
    assert lock is not None
    assert lock.images == {"standard": f"registry.example/team@{DIGEST}"}


def test_machines_get_json_and_an_image_that_stays_here_is_said_to(project: Path, engine: Path) -> None:
    code, said = run("--json")
    assert code == 0
    assert json.loads(said)["reference"] == f"localhost/inferform@{DIGEST}"
    code, said = run("--method", "vllm")
    assert "not pushed: a cluster runs it only where its nodes have it" in said
    lock = read_lock(project)
    assert lock is not None
    assert sorted(lock.images) == ["standard", "vllm"]


def test_a_push_that_fails_pins_nothing_and_shows_why(
    project: Path, engine: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fake_engine(engine, refused="denied: no such project")
    assert run("--push", "registry.example")[0] == 1
    said = capfd.readouterr().err
    assert "error: buildah could not push registry.example/inferform:standard-" in said
    assert "  | denied: no such project" in said
    assert read_lock(project) is None


def test_two_bases_are_one_too_many(project: Path) -> None:
    assert run("--base", "a", "--bootstrap")[0] == 2


def test_a_broken_lock_file_is_told_before_the_build(project: Path, engine: Path) -> None:
    (project / "inferform.lock").write_text("{")
    assert run()[0] == 1
    assert not (engine / "calls").exists()
