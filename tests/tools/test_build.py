"""Tools are built once, whole or not at all, and an installed one that is recent enough is used instead."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools.build import built, ensure, installed, known
from tools.console import StepFailed
from tools.golang import build_command
from tools.recipe import Build, OnPath, parse_version, read_recipe

MAIN = 'package main\n\nimport "fmt"\n\nvar version = "unset"\n\nfunc main() { fmt.Println("hello", version) }\n'
RECIPE = """
[[build]]
module = "go"
package = "."
output = "hello"
variables = { "main.version" = "1.2.3" }
"""


@pytest.fixture
def recipes(tmp_path: Path) -> Path:
    """A folder like tools/, with one set of tools: a Go program without dependencies."""
    folder = tmp_path / "tools" / "hello"
    (folder / "go").mkdir(parents=True)
    (folder / "go" / "go.mod").write_text("module hello\n\ngo 1.21\n")
    (folder / "go" / "main.go").write_text(MAIN)
    (folder / "build.toml").write_text(RECIPE)
    return folder.parent


def test_a_program_is_built_from_its_module_and_a_second_call_builds_nothing(recipes: Path, tmp_path: Path) -> None:
    folder = ensure("hello", tools=recipes, cache=tmp_path / "cache")
    assert subprocess.check_output([folder / "hello"], text=True) == "hello 1.2.3\n"
    before = (folder / "hello").stat().st_mtime_ns
    assert ensure("hello", tools=recipes, cache=tmp_path / "cache") == folder
    assert (folder / "hello").stat().st_mtime_ns == before


def test_a_build_that_fails_names_its_step_and_leaves_nothing(recipes: Path, tmp_path: Path) -> None:
    (recipes / "hello" / "go" / "main.go").write_text("package main\n\nfunc main() { undefined() }\n")
    with pytest.raises(StepFailed, match="compiling hello") as failed:
        ensure("hello", tools=recipes, cache=tmp_path / "cache")
    assert "undefined" in failed.value.output
    assert [path.suffix for path in (tmp_path / "cache" / "tools").iterdir()] == [".lock"]


def test_without_go_the_error_says_which_go_to_install(
    recipes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StepFailed, match="`go` is not on PATH") as failed:
        ensure("hello", tools=recipes, cache=tmp_path / "cache")
    assert "1.21" in failed.value.remedy


def test_what_a_killed_build_left_is_swept(recipes: Path, tmp_path: Path) -> None:
    recipe = read_recipe(recipes / "hello")
    left = tmp_path / f".hello-{recipe.digest}.killed"
    left.mkdir()
    built(recipe, tmp_path)
    assert not left.exists()


@pytest.mark.parametrize("file", ["build.toml", "go/go.mod", "go/main.go"])
def test_the_digest_changes_with_everything_that_decides_the_outcome(recipes: Path, file: str) -> None:
    before = read_recipe(recipes / "hello").digest
    path = recipes / "hello" / file
    path.write_text(path.read_text() + "\n")
    assert read_recipe(recipes / "hello").digest != before


def test_a_key_that_a_recipe_does_not_know_is_an_error(recipes: Path) -> None:
    path = recipes / "hello" / "build.toml"
    path.write_text(path.read_text() + 'colour = "red"\n')
    with pytest.raises(ValueError, match="colour"):
        read_recipe(path.parent)


@pytest.mark.parametrize(
    ("said", "good"), [("v3.259.0", True), ("v3.300.1-dev", True), ("v3.258.9", False), ("", False)]
)
def test_an_installed_program_serves_when_it_is_recent_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, good: bool
) -> None:
    for name in ("pulumi", "pulumi-language-python"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {said}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    wanted = OnPath(program="pulumi", at_least=(3, 259, 0), beside=("pulumi-language-python",))
    assert installed(wanted) == (tmp_path if good else None)
    (tmp_path / "pulumi-language-python").unlink()
    assert installed(wanted) is None


def test_tags_and_variables_reach_the_compiler() -> None:
    entry = Build(module="m", package="./cmd/x", output="x", tags=("a", "b"), variables={"p.V": "1"})
    command = build_command(entry, Path("/out/x"))
    assert command[command.index("-tags") + 1] == "a,b"
    assert command[command.index("-ldflags") + 1] == "-s -w -X p.V=1"


@pytest.mark.parametrize(("text", "version"), [("v3.259.0", (3, 259, 0)), ("go1.26 linux", (1, 26, 0)), ("none", None)])
def test_versions_are_found_in_what_programs_say(text: str, version: tuple[int, ...] | None) -> None:
    assert parse_version(text) == version


def test_the_committed_recipes_can_be_read() -> None:
    assert "pulumi" in known()
    for name in known():
        recipe = read_recipe(Path("tools") / name)
        assert recipe.programs
        for build in recipe.builds:
            module = recipe.folder / build.module
            needs_others = "require" in (module / "go.mod").read_text()
            assert (module / "go.sum").is_file() or not needs_others, "checksums are committed"
