"""Commands that ask the outside once, so that a plan never has to: `lock`, `catalog update`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli import options
from infra.cli.failure import USAGE, Failure, reported

if TYPE_CHECKING:
    from infra.cli.project import Here
    from infra.stackfile import Stack


def lock(
    upgrade: Annotated[
        list[str] | None,
        typer.Option(
            "--upgrade",
            "-u",
            metavar="NAME",
            help="Move these pins: a service, service/version, source, or '*' for all.",
        ),
    ] = None,
    stack: options.Stack = None,
) -> None:
    """Pin what can change: revisions of hubs and buckets, and instance types that the plan chose.

    Writes inferform.lock beside Pulumi.yaml; commit it. Pins that are there stay unless --upgrade names them.
    Folders and the embedded default model need none.

    [dim]$ inferform lock[/]
    [dim]$ inferform lock --upgrade chat[/]
    """
    from catalog import CatalogError, load_for
    from infra.cli.project import find
    from infra.lock import InspectFailed, inspect_source, update, write_lock
    from infra.plan import LockError, read_lock
    from infra.stackfile import StackFileErrors, load_file

    here = find(stack)
    try:
        stacks = [load_file(here.file, built_only=False)]
        others, broken = _others(here)
        change = update(
            [*stacks, *others],
            load_for(stacks[0].folder),
            read_lock(stacks[0].folder),
            inspect=inspect_source,
            upgrade=tuple(upgrade or ()),
            prune=not broken,
            say=lambda line: typer.secho(line, dim=True, err=True),
        )
    except StackFileErrors as wrong:
        raise Failure(str(wrong), "`inferform plan` shows each with its line") from wrong
    except (InspectFailed, LockError, CatalogError) as bad:
        raise Failure(str(bad), "nothing was written") from bad
    written = write_lock(stacks[0].folder, change.lock)
    for line in change.lines:
        typer.echo(line)
    for name in broken:
        typer.secho(f"{name} has errors: its entries were kept as they are", fg="yellow", err=True)
    amounts = f"{len(change.lock.models)} models, {len(change.lock.instances)} instance types"
    typer.echo(f"{written.name}: {amounts}{'' if change.lines else ', nothing changed'}")


def _others(here: Here) -> tuple[list[Stack], list[str]]:
    """The project's other stacks, for one file pins them all; and the names of those that cannot be read."""
    from infra.stackfile import StackFileErrors, load_file

    read, broken = [], []
    for name in here.project.stacks():
        file = here.project.stack_file(name)
        if file == here.file:
            continue
        try:
            read.append(load_file(file, built_only=False))
        except StackFileErrors:
            broken.append(file.name)
    return read, broken


catalog_app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Facts that plans are made with.\n\n[dim]$ inferform catalog update --prices[/]",
)


@catalog_app.callback()
def catalog() -> None:
    """Facts that plans are made with."""


@catalog_app.command("update")
@reported
def update_catalog(
    prices: Annotated[bool, typer.Option("--prices", help="On-demand prices of AWS's instance types.")] = False,
    region: Annotated[str, typer.Option("--region", envvar="AWS_REGION", help="AWS's region.")] = "us-east-1",
    types: Annotated[
        list[str] | None, typer.Option("--type", metavar="TYPE", help="Only these types. Default: all of the catalog.")
    ] = None,
) -> None:
    """Ask AWS for today's prices and write them into inferform.catalog.yaml beside Pulumi.yaml; commit it.

    Needs AWS credentials that may call pricing:GetProducts. A price alone never starts anything anew.
    """
    import datetime

    from catalog import CatalogError, load
    from infra.cli.project import find_project

    if not prices:
        raise Failure("nothing to update", "say --prices", code=USAGE)
    try:
        from infra.prices import PricesFailed, fetch, write
    except ModuleNotFoundError as missing:
        raise Failure(f"{missing.name} is not installed", "pip install 'inferform[runtime]'") from missing
    folder = find_project(Path.cwd()).stack_folder
    try:
        known = load().instances
        wanted = types or sorted(name for name, each in known.items() if each.cloud == "aws")
        if unknown := [name for name in wanted if name not in known]:
            raise Failure(f"{unknown[0]} is not in the catalog", "describe it in inferform.catalog.yaml first")
        entries = fetch(wanted, region, today=datetime.datetime.now(datetime.UTC).date(), say=typer.echo)
        path = write(folder, entries)
    except (PricesFailed, CatalogError) as bad:
        raise Failure(str(bad), "nothing was written") from bad
    typer.echo(f"{path.name}: {len(entries)} prices")


COMMANDS: dict[str, Callable[..., None]] = {"lock": lock}
