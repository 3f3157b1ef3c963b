"""`scripts/up`: set up, deploy the local stack with the real Pulumi CLI, and say how to call what serves."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

from tools import setup, venv
from tools.console import StepFailed, run, say
from tools.project import STACK, Project

PROMPT = '{"prompt": "What is the capital of Canada?", "do_sample": false}'


def up(project: Project) -> int:
    """Deploy the stack `local`; the exit code of `pulumi up`. Raises StepFailed where it does not get that far."""
    tools = setup.ensure(project)
    environment = project.environment(tools)
    if not project.stack_file.exists():
        shutil.copyfile(project.root / "examples" / "local" / project.stack_file.name, project.stack_file)
        say(f"{project.stack_file.name} is yours to edit: a copy of examples/local/{project.stack_file.name}")
    run(
        ["pulumi", "stack", "select", STACK, "--create", "--non-interactive", "--secrets-provider=passphrase"],
        step=f"selecting the stack {STACK}",
        remedy=f"the state in {project.state.name} and its file `passphrase` belong together; restore both, "
        "or remove the folder to begin anew (after scripts/down)",
        cwd=project.root,
        environment=environment,
    )
    code = subprocess.call(
        ["pulumi", "up", "--yes", "--skip-preview", "--stack", STACK], cwd=project.root, env=environment
    )
    if code:
        say("\npulumi up failed; what it said is above. After an edit of the stack file: scripts/up again.")
        say(f"A run that was killed leaves the stack locked: {inferform(project)} repair")
        return code
    print(closing_lines(outputs(project, environment), project))
    return 0


def outputs(project: Project, environment: Mapping[str, str]) -> dict[str, Any]:
    """The stack's outputs, secrets masked."""
    asked = subprocess.run(
        ["pulumi", "stack", "output", "--json", "--stack", STACK],
        cwd=project.root,
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode:
        raise StepFailed("reading the stack's outputs", "run: pulumi stack output --json", asked.stderr)
    found: dict[str, Any] = json.loads(asked.stdout)
    return found


def closing_lines(outputs: Mapping[str, Any], project: Project) -> str:
    """Endpoint, token command and a curl line per service, and the line that prepares a shell."""
    lines = [""]
    command = inferform(project)
    services = outputs.get("services")
    for name, service in services.items() if isinstance(services, Mapping) else ():
        endpoint = service.get("endpoint")
        lines += [
            f"{name} serves at  {endpoint}",
            f"its token        {command} token {name}",
            f"""curl -sd '{PROMPT}' -H "Authorization: $({command} token {name})" {endpoint}""",
            "",
        ]
    lines.append("For a shell with pulumi and inferform on PATH; then edit the stack file and run `pulumi up`:")
    lines.append(f"source {setup.shown(project.environment_file, project)}")
    return "\n".join(lines)


def inferform(project: Project) -> str:
    """The command as it can be typed before anything is sourced."""
    return setup.shown(venv.python_of(project.root).parent / "inferform", project)


if __name__ == "__main__":
    setup.script(lambda: up(Project()))
