"""`pulumi up`, then `inferform plan`: the start is no estimate any more; another version still is one."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.e2e.harness import Project, scripted


def inferform(project: Project, *arguments: str) -> str:
    command = [sys.executable, "-m", "infra.cli", *arguments]
    return subprocess.run(
        command, cwd=project.folder, env=project.environment, capture_output=True, text=True, timeout=60, check=True
    ).stdout


def test_the_first_run_measures_what_the_next_plan_shows(project: Project) -> None:
    project.environment["XDG_STATE_HOME"] = str(project.folder / "of-the-user")
    service = {"chat": scripted(engineArgs={"startSeconds": 1.0})}
    project.write(service)
    assert "unmeasured" in inferform(project, "plan")
    project.up()
    [measured] = json.loads(inferform(project, "measured", "--now", "-o", "json"))
    assert 1.0 <= sum(measured["seconds"].values()) < 60
    assert measured["seconds"]["engine"] >= 0.5
    assert measured["memoryBytes"] > 2**24
    said = " ".join(inferform(project, "plan").split())
    assert "measured " + measured["date"] in said
    assert "a replica took" in said
    project.assert_no_changes()
    project.write({"chat": scripted("another", engineArgs={"startSeconds": 1.0})})
    assert "estimates, unmeasured" in inferform(project, "plan")
    project.write(service)
