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


def find_pulumi() -> str:
    """The Pulumi CLI on PATH."""
    if found := shutil.which("pulumi"):
        return found
    raise Failure(
        "there is no `pulumi` on PATH", "`scripts/up` prints a line that begins with `source ` and puts it there"
    )


def run_pulumi(arguments: Sequence[str], *, root: Path) -> int:
    """Run Pulumi in the project's folder with our own input and output; its exit status."""
    command = [find_pulumi(), *arguments]
    typer.secho(f"$ {shlex.join(['pulumi', *arguments])}", dim=True)
    return subprocess.run(command, cwd=root, env=_environment(), check=False).returncode


def ask_pulumi(arguments: Sequence[str], *, root: Path) -> str:
    """Run Pulumi quietly; its standard output. Raises Failure with what it said on standard error."""
    done = subprocess.run(
        [find_pulumi(), *arguments], cwd=root, env=_environment(), check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise Failure(f"`{shlex.join(['pulumi', *arguments])}` failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def _environment() -> dict[str, str]:
    return {"PULUMI_SKIP_UPDATE_CHECK": "true", **os.environ}
