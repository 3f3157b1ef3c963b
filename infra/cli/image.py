"""`inferform image build`: the runtime's container image, pinned by its digest in the lock file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli.failure import Failure, reported

if TYPE_CHECKING:
    from infra.lock import Change

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="The container image that runs on clusters.\n\n[dim]$ inferform image build --push registry.example/team[/]",
)


class ImageMethod(StrEnum):
    """Methods that an image serves."""

    STANDARD = "standard"
    VLLM = "vllm"
    BLADELLM = "bladellm"


class Accelerator(StrEnum):
    """What an image computes on."""

    CPU = "cpu"
    NVIDIA = "nvidia"


@app.callback()
def image() -> None:
    """The container image that runs on clusters."""


@app.command("build")
@reported
def build(
    method: Annotated[ImageMethod, typer.Option("--method", help="The method that it serves.")] = ImageMethod.STANDARD,
    push: Annotated[
        str, typer.Option("--push", metavar="REGISTRY", help="Push there: a registry, or a repository of one.")
    ] = "",
    base: Annotated[
        str, typer.Option("--base", metavar="IMAGE", help="What it is built on: a Debian. Default: Debian's own image.")
    ] = "",
    bootstrap: Annotated[
        bool, typer.Option("--bootstrap", help="Make the base with debootstrap, where no registry can be reached.")
    ] = False,
    ca_bundle: Annotated[
        Path | None,
        typer.Option("--ca-bundle", metavar="FILE", help="PEM certificates for the build; the image keeps none."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE.tar", help="Write it as an OCI archive too.")
    ] = None,
    accelerator: Annotated[
        Accelerator | None, typer.Option("--accelerator", help="Default: cpu for standard, else nvidia.")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="With today's Debian packages; nothing of earlier builds is used.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was built as JSON.")] = False,
) -> None:
    """Build the image of a method with buildah, podman or docker, whichever is there, and pin its digest.

    The digest goes into inferform.lock beside Pulumi.yaml, where stacks on a cluster find it; commit it.

    [dim]$ inferform image build --push registry.example/team[/]
    [dim]$ inferform image build --method vllm --output vllm.tar[/]
    """
    import json

    from infra.cli.project import find_project
    from infra.lock import pin_image, write_lock
    from infra.plan import LockError, read_lock

    if base and bootstrap:
        raise Failure("--base and --bootstrap both name a base", "say one of them", code=2)
    folder = find_project(Path.cwd()).stack_folder
    try:
        read_lock(folder)  # a broken one is told before the minutes of a build
        options = {
            "--method": method.value,
            "--push": push,
            "--base": base,
            "--ca-bundle": str(ca_bundle.absolute()) if ca_bundle else "",
            "--output": str(output.absolute()) if output else "",
            "--accelerator": accelerator.value if accelerator else "",
        }
        given = [word for name, value in options.items() if value for word in (name, value)]
        built = json.loads(_run([*given, *(["--bootstrap"] if bootstrap else []), *(["--fresh"] if fresh else [])]))
        change = pin_image(read_lock(folder), method.value, built["reference"])
    except LockError as bad:
        raise Failure(str(bad), "nothing was pinned") from bad
    write_lock(folder, change.lock)
    typer.echo(json.dumps(built, indent=2) if as_json else _text(built, change))


def _run(arguments: Sequence[str]) -> str:
    """What `python -m runtime.image` prints; its progress goes to the terminal as it comes, and so do its errors."""
    import subprocess

    # The runtime's code is beside ours, whatever the working folder is: -P keeps a `runtime` of that folder out.
    done = subprocess.run(
        [sys.executable, "-P", "-m", "runtime.image", *arguments], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise typer.Exit(done.returncode)
    return done.stdout


def _text(built: dict[str, object], change: Change) -> str:
    seconds, size = float(str(built["seconds"])), int(str(built["bytes"])) / 1e9
    lines = [
        f"{built['tag']}",
        f"  digest  {built['digest']}",
        f"  size    {size:.2f} GB",
        f"  time    {seconds:.0f} s",
    ]
    if built.get("archive"):
        lines.append(f"  archive {built['archive']}")
    lines.append(f"inferform.lock: {change.lines[0] if change.lines else 'nothing changed'}")
    if not built["pushed"]:
        lines.append("not pushed: a cluster runs it only where its nodes have it; --push REGISTRY")
    return "\n".join(lines)
