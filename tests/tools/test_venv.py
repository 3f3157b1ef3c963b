"""What is installed follows from pyproject.toml and constraints.txt, and nothing is installed twice."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tools import installer, venv
from tools.console import StepFailed

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the project's own pyproject.toml and constraints.txt."""
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    return tmp_path


def test_everything_that_is_asked_for_is_pinned() -> None:
    pinned = {name.lower().replace("_", "-") for name in venv.pins((ROOT / "constraints.txt").read_text())}
    asked = {
        requirement.split(">")[0].split("=")[0].split("[")[0].split("<")[0] for requirement in venv.requirements(ROOT)
    }
    assert {name.lower().replace("_", "-") for name in asked} <= pinned
    assert set(venv.WITHOUT_DEPENDENCIES) <= pinned


def test_pins_hold_versions_and_no_addresses() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#") and line not in pinned_lines(lines)] == []


def pinned_lines(lines: list[str]) -> list[str]:
    return [f"{name}=={version}" for name, version in venv.pins("\n".join(lines)).items()]


def test_an_environment_that_is_up_to_date_is_left_alone(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / ".inferform").write_text(venv.digest(checkout))

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("something was run")

    monkeypatch.setattr(venv, "Installer", refuse)
    assert venv.ensure(checkout) is False


@pytest.mark.parametrize(
    ("file", "old", "new", "differs"),
    [
        ("constraints.txt", "torch==", "torch==9.", True),
        ("pyproject.toml", "pydantic>=2.9", "pydantic>=2.8", True),
        ("pyproject.toml", "line-length = 120", "line-length = 100", False),
    ],
)
def test_the_environment_is_renewed_by_what_the_installer_reads_alone(
    checkout: Path, file: str, old: str, new: str, differs: bool
) -> None:
    before = venv.digest(checkout)
    text = (checkout / file).read_text()
    assert old in text
    (checkout / file).write_text(text.replace(old, new))
    assert (venv.digest(checkout) != before) is differs


def test_another_index_for_torch_is_asked_for_torch_alone(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def keep(command: Sequence[object], **options: object) -> None:
        commands.append([str(part) for part in command])

    monkeypatch.setattr(installer, "run", keep)
    monkeypatch.setenv("INFERFORM_TORCH_INDEX", "https://torch.example/cpu")
    (checkout / ".venv" / "bin").mkdir(parents=True)
    venv.python_of(checkout).symlink_to(sys.executable)
    assert venv.ensure(checkout)
    named = [command for command in commands if "https://torch.example/cpu" in command]
    assert len(named) == 1
    assert [part for part in named[0] if part.startswith("torch==")]
    assert "--no-deps" in named[0]


def test_an_environment_that_failed_is_not_taken_for_whole(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(command: list[object], **options: object) -> None:
        raise StepFailed("uv pip install: packages", "check the index", "No space left on device (os error 28)")

    (checkout / ".venv" / "bin").mkdir(parents=True)
    venv.python_of(checkout).symlink_to(sys.executable)
    monkeypatch.setattr(installer, "run", full)
    with pytest.raises(StepFailed):
        venv.ensure(checkout)
    assert not (checkout / ".venv" / ".inferform").exists()
