"""The project folder as Pulumi sees it: everything inside, private, and no passphrase where it does not belong."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools.project import Project

TOOLS = Path("/opt/pulumi tools")


def test_the_passphrase_is_made_once_and_private(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.prepare(TOOLS)
    first = project.passphrase.read_text()
    assert len(first) > 24
    assert project.passphrase.stat().st_mode & 0o777 == 0o600
    assert project.state.stat().st_mode & 0o777 == 0o700
    project.prepare(TOOLS)
    assert project.passphrase.read_text() == first


def test_the_file_to_source_holds_no_passphrase_and_may_be_sourced_twice(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.prepare(TOOLS)
    text = project.environment_file.read_text()
    assert project.passphrase.read_text().strip() not in text
    shell = f'. "{project.environment_file}"; . "{project.environment_file}"; echo "$PATH"; echo "$PULUMI_BACKEND_URL"'
    ran = subprocess.run(
        ["sh", "-euc", shell],
        env={"PATH": "/usr/bin:/bin", "PULUMI_CONFIG_PASSPHRASE": "other"},
        capture_output=True,
        text=True,
        check=True,
    )
    path, backend = ran.stdout.splitlines()
    assert path == f"{TOOLS}:{tmp_path}/.venv/bin:/usr/bin:/bin"
    assert backend == f"file://{tmp_path}/.pulumi-state"


@pytest.mark.parametrize("leaked", ["PULUMI_CONFIG_PASSPHRASE", "PULUMI_STACK"])
def test_what_the_user_set_for_other_projects_does_not_reach_this_one(tmp_path: Path, leaked: str) -> None:
    environment = Project(tmp_path).environment(TOOLS, {"PATH": "/bin", leaked: "other", "HOME": "/home/me"})
    assert leaked not in environment
    assert environment["HOME"] == "/home/me"
    assert environment["PATH"] == f"{TOOLS}:{tmp_path}/.venv/bin:/bin"


def test_a_built_plugin_lies_where_pulumi_looks_for_downloaded_ones(tmp_path: Path) -> None:
    built = tmp_path / "built"
    built.mkdir()
    (built / "pulumi-resource-kubernetes").write_text("the program")
    project = Project(tmp_path)
    for _ in range(2):  # a second time changes nothing
        project.offer_plugin("kubernetes", "4.25.0", built)
    place = Path(project.variables()["PULUMI_HOME"]) / "plugins" / "resource-kubernetes-v4.25.0"
    assert [path.name for path in place.iterdir()] == ["pulumi-resource-kubernetes"]
    assert (place / "pulumi-resource-kubernetes").read_text() == "the program"
