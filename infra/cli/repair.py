"""After a killed Pulumi command: the lock, left-over processes, pending creates. Steps are decided first, then done."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import typer

from infra.cli.failure import Failure
from infra.cli.project import find
from infra.cli.pulumi import ask_pulumi, run_pulumi

WORKING = ("up", "update", "preview", "pre", "refresh", "destroy", "down", "import", "watch")
"""Pulumi's commands that hold a stack's lock or use the plugin."""
PARTS = ("pulumi-resource-inferform", "pulumi-language-python", "pulumi-language-python-exec")
"""What a Pulumi command starts and a killed one may leave behind."""
END_SECONDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One running process, as far as we need to know it."""

    pid: int
    parent: int
    command: tuple[str, ...]
    folder: str

    @property
    def name(self) -> str:
        """The program's name; of an interpreter, the script's."""
        names = [Path(part).name for part in self.command[:3]]
        return next((name for name in names if name in PARTS), names[0] if names else "")


def busy(processes: Iterable[Process], root: Path) -> list[Process]:
    """Pulumi commands that work in this project now. Pure."""
    return [
        process
        for process in processes
        if process.name == "pulumi"
        and _inside(process.folder, root)
        and any(word in WORKING for word in process.command[1:])
    ]


def left_over(processes: Sequence[Process], folders: Sequence[Path]) -> list[Process]:
    """Parts of a Pulumi command that have lost it: no `pulumi` is among their ancestors. Pure.

    `folders`: where this project's parts work: the project's own folder, and its program's.
    """
    by_pid = {process.pid: process for process in processes}

    def has_engine(process: Process) -> bool:
        seen = {process.pid}
        while (parent := by_pid.get(process.parent)) is not None and parent.pid not in seen:
            if parent.name == "pulumi":
                return True
            seen.add(parent.pid)
            process = parent
        return False

    ours = [each for each in processes if any(_inside(each.folder, folder) for folder in folders)]
    return [each for each in ours if each.name in PARTS and not has_engine(each)]


def pending_creates(export: str) -> list[str]:
    """The URNs of a stack's export that were being created when its command died. Pure."""
    operations = (json.loads(export).get("deployment") or {}).get("pending_operations") or []
    return [str(each.get("resource", {}).get("urn", "")) for each in operations if each.get("type") == "creating"]


def _inside(folder: str, root: Path) -> bool:
    return bool(folder) and Path(folder).is_relative_to(root)


def repair(stack: str | None, *, force: bool, dry_run: bool) -> None:
    """Do it, step by step, saying each."""
    here = find(stack)
    root = here.project.root.resolve()
    processes = running()
    if (working := busy(processes, root)) and not force:
        first = working[0]
        raise Failure(
            f"`{' '.join(first.command)}` runs in this project (process {first.pid})",
            "let it end; or end it and run this again; --force goes on all the same",
        )
    scope = ["--stack", here.stack]

    typer.secho("1. The lock", bold=True)
    typer.echo("   A killed Pulumi command leaves its lock, and every later one refuses.")
    if dry_run:
        typer.echo("   would run: pulumi cancel --yes " + " ".join(scope))
    elif status := run_pulumi(["cancel", "--yes", *scope], root=root):
        raise Failure(f"`pulumi cancel` failed with status {status}")

    typer.secho("2. Left-over processes", bold=True)
    found = left_over(processes, (root, here.project.program_folder))
    if not found:
        typer.echo("   none: plugin and program end by themselves when their engine is gone")
    for process in found:
        typer.echo(f"   {'would end' if dry_run else 'ending'} process {process.pid}: {' '.join(process.command)}")
    if not dry_run:
        end(process.pid for process in found)

    typer.secho("3. Creates that were never finished", bold=True)
    urns = pending_creates(ask_pulumi(["stack", "export", *scope], root=root))
    if not urns:
        typer.echo("   none are pending")
    else:
        for urn in urns:
            typer.echo(f"   {urn.rpartition('::')[2]} ({urn.split('::')[-2].rpartition('$')[2]})")
        typer.echo(
            "   `up` warns of them until a refresh clears them; what was made is adopted by the next `up`, or swept."
        )
        command = ["refresh", "--yes", "--skip-preview", "--clear-pending-creates", *scope]
        if dry_run:
            typer.echo(f"   would run: pulumi {' '.join(command)}")
        elif status := run_pulumi(command, root=root):
            raise Failure(
                f"`pulumi refresh` failed with status {status}", "a plain `pulumi up` may still repair the stack"
            )
    typer.secho(
        "nothing was changed (--dry-run)"
        if dry_run
        else "done: `pulumi up` finishes the update, or, with the file reverted, undoes it",
        fg="green",
    )


def running() -> list[Process]:
    """This user's processes."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.uids().real != os.getuid():
                continue
            command = tuple(process.cmdline())
            found.append(Process(pid=process.pid, parent=process.ppid(), command=command, folder=process.cwd()))
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


def end(pids: Iterable[int]) -> None:
    """Ask processes to end, wait, then make them."""
    processes = []
    for pid in pids:
        try:
            process = psutil.Process(pid)
            process.terminate()
        except psutil.NoSuchProcess:
            continue
        processes.append(process)
    _, alive = psutil.wait_procs(processes, timeout=END_SECONDS)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=END_SECONDS)
