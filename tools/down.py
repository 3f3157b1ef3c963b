"""`scripts/down`: destroy the local stack with the real Pulumi CLI; its host, gateway and replicas end with it."""

from __future__ import annotations

import json
import subprocess

from tools import build, setup
from tools.console import StepFailed, say
from tools.project import STACK, Project
from tools.up import inferform


def down(project: Project) -> int:
    """Destroy the stack `local`; the exit code of `pulumi destroy`, 0 where there is none. Raises StepFailed."""
    if not project.state.exists():
        say("nothing to stop: this checkout has no stack")
        return 0
    environment = project.environment(build.ensure("pulumi"))
    listed = subprocess.run(
        ["pulumi", "stack", "ls", "--json"],
        cwd=project.root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        raise StepFailed(
            "listing the project's stacks", "what Pulumi says above names the reason", listed.stderr.strip()
        )
    if STACK not in {stack["name"] for stack in json.loads(listed.stdout)}:
        say(f"nothing to stop: there is no stack {STACK}")
        return 0
    command = ["pulumi", "destroy", "--yes", "--skip-preview", "--stack", STACK]
    code = subprocess.call(command, cwd=project.root, env=environment)
    if code:
        say("\npulumi destroy failed; what it said is above.")
        say(f"A run that was killed leaves the stack locked: {inferform(project)} repair")
    return code


if __name__ == "__main__":
    setup.script(lambda: down(Project()))
