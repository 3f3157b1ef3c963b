"""Repositories at a commit, by the real git."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from runtime.contract.version import ModelReference
from runtime.replica.sources import SourceError, fetch
from runtime.replica.sources.git import clone, repository
from runtime.replica.sources.inspect import inspect
from runtime.replica.sources.reference import Source, parse_source

SILENT = (
    "-c",
    "user.name=A",
    "-c",
    "user.email=a@example.org",
    "-c",
    "commit.gpgsign=false",
    "-c",
    "tag.gpgsign=false",
)


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *SILENT, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    """A repository with two commits; `sub/` holds a model."""
    folder = tmp_path / "upstream"
    (folder / "sub").mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "sub" / "config.json").write_text('{"model_type": "llama"}')
    (folder / "sub" / "model.safetensors").write_bytes(b"12345678")
    (folder / "script.sh").write_text("#!/bin/sh\n")
    (folder / "script.sh").chmod(0o755)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    (folder / "later.txt").write_text("second")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "second")
    return folder


def source(upstream: Path, commit: str, folder: str = "") -> str:
    return f"git+file://{upstream}@{commit}" + (f"#{folder}" if folder else "")


def place(tmp_path: Path) -> Path:
    made = tmp_path / "clone"
    made.mkdir()
    return made


def silent(detail: str) -> None:
    """Nobody listens."""


def test_a_commit_is_cloned_and_not_what_came_after_it(upstream: Path, tmp_path: Path) -> None:
    first = git(upstream, "rev-parse", "HEAD~1")
    folder = place(tmp_path)
    assert clone(parse_source(source(upstream, first)), folder, silent) == first
    assert sorted(path.name for path in folder.iterdir()) == ["script.sh", "sub"]
    assert os.access(folder / "script.sh", os.X_OK)


def test_an_abbreviated_commit_is_found_in_the_branches(upstream: Path, tmp_path: Path) -> None:
    second = git(upstream, "rev-parse", "HEAD")
    assert clone(parse_source(source(upstream, second[:9])), place(tmp_path), silent) == second


def test_what_an_interrupted_clone_left_is_in_nobodys_way(upstream: Path, tmp_path: Path) -> None:
    folder = place(tmp_path)
    (folder / ".git").mkdir()
    (folder / "old").write_text("left")
    clone(parse_source(source(upstream, git(upstream, "rev-parse", "HEAD"))), folder, silent)
    assert not (folder / "old").exists()


def test_a_commit_that_is_not_there_is_named(upstream: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"has no commit 0123456789abcdef0123456789abcdef01234567"):
        clone(parse_source(source(upstream, "0123456789abcdef0123456789abcdef01234567")), place(tmp_path), silent)


def test_a_repository_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"missing.*git fetch: "):
        clone(parse_source(source(tmp_path / "missing", "0123456")), place(tmp_path), silent)


def test_a_git_that_hangs_is_ended_with_its_helpers(
    upstream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "git").write_text(f"#!/bin/sh\nsleep 600 & echo $! > {tmp_path}/helper\nwait\n")
    (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    started = time.monotonic()
    with pytest.raises(SourceError, match=r"git init did not end within 0\.5 s"):
        clone(parse_source(source(upstream, "0123456")), place(tmp_path), silent, seconds=0.5)
    assert time.monotonic() - started < 60
    helper = Path(f"/proc/{(tmp_path / 'helper').read_text().strip()}/stat")
    assert not helper.exists() or helper.read_text().rpartition(")")[2].split()[0] == "Z"


def test_nobody_is_asked_for_a_password(upstream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "git").write_text(f"#!/bin/sh\nenv > {tmp_path}/environment\ncat > {tmp_path}/input\nexit 1\n")
    (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    with pytest.raises(SourceError):
        clone(parse_source(source(upstream, "0123456")), place(tmp_path), silent)
    environment = (tmp_path / "environment").read_text()
    assert "GIT_TERMINAL_PROMPT=0" in environment
    assert "BatchMode=yes" in environment
    assert (tmp_path / "input").read_text() == ""


def test_a_file_that_is_kept_in_lfs_is_not_taken_for_weights(upstream: Path, tmp_path: Path) -> None:
    (upstream / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    git(upstream, "add", ".")
    git(upstream, "commit", "--quiet", "-m", "lfs")
    with pytest.raises(SourceError, match=r"model\.safetensors is kept in Git LFS"):
        clone(parse_source(source(upstream, git(upstream, "rev-parse", "HEAD"))), place(tmp_path), silent)


async def test_a_model_in_a_folder_of_a_repository_is_fetched_and_inspected(upstream: Path, tmp_path: Path) -> None:
    commit = git(upstream, "rev-parse", "HEAD")
    text = source(upstream, commit, "sub")
    facts = inspect(text, tmp_path / "cache")
    assert (facts["revision"], facts["weightBytes"]) == (commit, 8)
    reference = ModelReference(name="/model_dir", source=text, digest=commit)
    folder = await fetch(reference, tmp_path / "cache", silent)
    assert (folder / "config.json").is_file()
    with pytest.raises(SourceError, match="has no folder nope"):
        await fetch(
            reference.model_copy(update={"source": source(upstream, commit, "nope")}), tmp_path / "cache", silent
        )


def test_two_folders_of_a_commit_are_one_clone(upstream: Path, tmp_path: Path) -> None:
    commit = git(upstream, "rev-parse", "HEAD")
    one = parse_source(source(upstream, commit))
    assert one == Source("git", f"file://{upstream}", commit)
    assert repository(one, tmp_path, silent) == repository(
        parse_source(source(upstream, commit, "sub")), tmp_path, silent
    )


@pytest.mark.parametrize("text", ["git+https://h/r", "git+https://h/r@main", "git+file:///r@0123456#../x"])
def test_a_misspelt_source_is_refused(text: str) -> None:
    with pytest.raises(SourceError):
        parse_source(text)


async def test_an_adapter_in_a_repository_is_inspected_and_fetched(upstream: Path, tmp_path: Path) -> None:
    (upstream / "legal").mkdir()
    (upstream / "legal" / "adapter_config.json").write_text('{"r": 8}')
    (upstream / "legal" / "adapter_model.safetensors").write_bytes(b"1234")
    git(upstream, "add", ".")
    git(upstream, "commit", "--quiet", "-m", "adapter")
    commit = git(upstream, "rev-parse", "HEAD")
    text = source(upstream, commit, "legal")
    facts = inspect(text, tmp_path / "cache")
    assert (facts["revision"], facts["weightBytes"], facts["config"]) == (commit, 4, {})
    reference = ModelReference(name="legal", source=text, digest=facts["revision"])
    folder = await fetch(reference, tmp_path / "cache", lambda detail: None)
    assert (folder / "adapter_model.safetensors").read_bytes() == b"1234"


def test_a_folder_that_is_neither_model_nor_adapter_is_named(upstream: Path, tmp_path: Path) -> None:
    commit = git(upstream, "rev-parse", "HEAD")
    with pytest.raises(SourceError, match=r"has no config\.json and no adapter_config\.json"):
        inspect(source(upstream, commit), tmp_path / "cache")
