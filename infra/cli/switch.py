"""Stopping and starting a service: one key of the stack file, then `pulumi up`."""

from __future__ import annotations

import typer

from infra.cli.edit import replace_file, set_stopped
from infra.cli.failure import Failure
from infra.cli.project import find
from infra.cli.pulumi import find_pulumi, run_pulumi


def switch(service: str, *, stopped: bool, edit_only: bool, stack: str | None) -> None:
    """Edit `stopped` of a service, say so, and apply it."""
    here = find(stack)
    if not edit_only:
        find_pulumi(here.project.root)  # before the file is touched
    file = here.file
    text = file.read_text(encoding="utf-8")
    edited = set_stopped(text, service, stopped)
    if edited == text:
        typer.echo(f"{file.name}: {service} is {'stopped' if stopped else 'not stopped'} already")
    else:
        replace_file(file, edited)
        typer.echo(f"{file.name}: services.{service}: stopped: {str(stopped).lower()} was set")
    if edit_only:
        return
    status = run_pulumi(["up", "--yes", "--skip-preview", "--stack", here.stack], root=here.project.root)
    if status:
        undo = f"inferform {'start' if stopped else 'stop'} {service}"
        hint = f"the stack file keeps the edit; run `pulumi up` again, or `{undo}`"
        raise Failure(f"`pulumi up` failed with status {status}", hint)
