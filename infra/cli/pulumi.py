"""Running the real Pulumi CLI, shown to the user as it is run."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import typer

from infra.cli.failure import Failure

ENVIRONMENT_FILE = Path(".inferform") / "env"
"""What set-up writes for a user's shell to source, relative to the project."""


def find_pulumi(root: Path) -> str:
    """The Pulumi CLI on PATH."""
    if found := shutil.which("pulumi"):
        return found
    file = root / ENVIRONMENT_FILE
    hint = f"run `source {file}` first" if file.exists() else "set the project up first: `scripts/up`"
    raise Failure("there is no `pulumi` on PATH", hint)


def run_pulumi(arguments: Sequence[str], *, root: Path) -> int:
    """Run Pulumi in the project's folder with our own input and output; its exit status."""
    command = [find_pulumi(root), *arguments]
    typer.secho(f"$ {shlex.join(['pulumi', *arguments])}", dim=True)
    return subprocess.run(command, cwd=root, env=_environment(), check=False).returncode


def ask_pulumi(arguments: Sequence[str], *, root: Path) -> str:
    """Run Pulumi quietly; its standard output. Raises Failure with what it said on standard error."""
    done = subprocess.run(
        [find_pulumi(root), *arguments], cwd=root, env=_environment(), check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise Failure(f"`{shlex.join(['pulumi', *arguments])}` failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def _environment() -> dict[str, str]:
    return {"PULUMI_SKIP_UPDATE_CHECK": "true", **os.environ}
