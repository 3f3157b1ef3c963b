"""Twenty seeded faults in mid-update and mid-create, each followed by `up`, a revert or `destroy`.

Set INFERFORM_FAULT_SEED to repeat a run and INFERFORM_FAULT_POINTS for a longer one.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time

import pytest

from tests.e2e.harness import Project, SteadyLoad, ask, scripted
from tests.e2e.harness.project import Config
from tests.e2e.killed_at_random_points.points import Point, Recovery, Victim, draw

SEED = int(os.environ.get("INFERFORM_FAULT_SEED", "20261123"))
POINTS = int(os.environ.get("INFERFORM_FAULT_POINTS", "20"))
WORDS = {
    Victim.REPLICA: "runtime.replica",
    Victim.HOST: "runtime.host",
    Victim.GATEWAY: "runtime.gateway",
    Victim.PLUGIN: "pulumi-resource-inferform",
    Victim.EVERYTHING: "",
}


def service(text: str) -> Config:
    return scripted(text, replicas={"min": 1, "max": 2})


def kill(project: Project, victim: Victim, cli: subprocess.Popen[str]) -> None:
    if victim in (Victim.CLI, Victim.EVERYTHING):
        with contextlib.suppress(ProcessLookupError):
            os.kill(cli.pid, signal.SIGKILL)
    if victim is Victim.EVERYTHING:
        project.kill_everything()
    elif victim is not Victim.CLI:
        project.kill(WORDS[victim])


def fault(project: Project, point: Point, length: float) -> None:
    """Start an update, kill the victim in the middle, and wait until the CLI has ended one way or another."""
    cli = project.start_pulumi("up", "--yes", "--skip-preview")
    time.sleep(point.after * length)  # the moment is the experiment, not a wait for something
    kill(project, point.victim, cli)
    cli.communicate(timeout=180)
    if point.victim in (Victim.CLI, Victim.EVERYTHING):
        project.repair()


def check(project: Project, point: Point, text: str, token: str) -> str:
    """One version serves, it is the right one, and the token is what it was."""
    answer = ask(project.endpoint, "chat", project.token())
    assert (answer.status, answer.text) == (200, text), f"{point}: {answer}"
    assert token in ("", project.token()), f"{point}: the token changed"
    project.wait_until(lambda: len(project.host.versions()) == 1, what=f"{point}: one version")
    replicas = project.processes("runtime.replica")
    project.wait_until(lambda: len(project.processes("runtime.replica")) == 1, what=f"{point}: {replicas}")
    assert len(project.processes("runtime.host")) == len(project.processes("runtime.gateway")) == 1
    return project.token()


@pytest.mark.timeout(1500)
def test_twenty_random_faults_lose_nothing(project: Project) -> None:
    print(f"seed {SEED}, {POINTS} points")
    serving, token, length = "", "", 4.0
    for number, point in enumerate(draw(SEED, POINTS)):
        wanted = f"answer {number}"
        print(f"{number}: {point}, from {serving or 'nothing'}", flush=True)
        project.write({"chat": service(wanted)})
        if serving:
            with SteadyLoad(project.endpoint, "chat", token, rate=10, streams=1, forgive=True) as load:
                fault(project, point, length)
                recover(project, point, serving)
            assert set(load.verdict.texts) <= {serving, wanted}, f"{point}: {load.verdict.texts}"
        else:
            fault(project, point, length)
            recover(project, point, serving)
        if point.recovery is Recovery.DESTROY:
            project.assert_nothing_left()
            serving, token = "", ""
            continue
        serving = serving if point.recovery is Recovery.REVERT and serving else wanted
        token = check(project, point, serving, token)
    if not serving:
        project.write({"chat": service("the end")})
        project.up()
    project.assert_no_changes()


def recover(project: Project, point: Point, serving: str) -> None:
    match point.recovery:
        case Recovery.UP:
            project.up()
        case Recovery.REVERT:
            if serving:  # a fault in mid-create has nothing to go back to: the next `up` finishes it
                project.write({"chat": service(serving)})
            project.up()
        case Recovery.DESTROY:
            project.destroy()
