"""A user's own program serves a model through the SDK that is generated from the plugin."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import Project, ask
from tests.e2e.harness.project import REPOSITORY, STACK


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """The example, copied beside a virtual environment as in the repository, with an SDK of its own."""
    with tempfile.TemporaryDirectory(prefix="ife-") as root:
        yield prepared(Path(root), monkeypatch)


def prepared(root: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    folder = root / "examples" / "program"
    shutil.copytree(REPOSITORY / "examples" / "program", folder, ignore=shutil.ignore_patterns(".venv", "sdks"))
    (root / ".venv").symlink_to(sys.prefix)
    subprocess.run([sys.executable, "-m", "venv", folder / ".venv"], check=True)
    [site] = (folder / ".venv").glob("lib/python*/site-packages")
    (site / "shared.pth").write_text(sysconfig.get_path("purelib"))  # Pulumi's SDK is not downloaded again
    project = Project(folder)
    (folder / "backend").mkdir()
    (folder / "run").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", project.environment["XDG_RUNTIME_DIR"])
    environment = {**project.environment, "PIP_OPTIONS": "--no-deps"}
    made = subprocess.run(
        [folder / "make-sdk"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120
    )
    assert made.returncode == 0, made.stdout
    project.pulumi("stack", "init", STACK, "--secrets-provider=passphrase")
    project.pulumi("config", "set", "port", str(project.port))
    return project


def test_a_few_lines_serve_a_model_and_leave_nothing(program: Project) -> None:
    try:
        program.up()
        shown = ("stack", "output", "token", "--show-secrets", "--stack", STACK)
        token = program.pulumi(*shown).output.strip()
        # Greedy and short: by EAS's defaults a small model may go on for thousands of tokens.
        assert ask(program.endpoint, "chat", token, "hello", do_sample=False, max_new_tokens=16).status == 200
        assert token not in program.pulumi("stack", "output", "--stack", STACK).output
        program.assert_no_changes()
        program.refresh("--expect-no-changes")
        program.destroy()
        program.assert_nothing_left()
    finally:
        program.kill_everything()
    assert not os.path.exists(program.state)
