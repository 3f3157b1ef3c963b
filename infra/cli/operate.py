"""Commands that change what runs: `stop`, `start`, `repair`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from infra.cli import options

EditOnly = Annotated[bool, typer.Option("--edit-only", help="Change the stack file and run nothing.")]


def stop(service: options.Service, edit_only: EditOnly = False, stack: options.Stack = None) -> None:
    """Stop a service: sets `stopped: true` in the stack file, then runs `pulumi up`.

    Its replicas go, its endpoint answers 503 at once; endpoint and token stay as they are.

    [dim]$ inferform stop chat[/]
    """
    from infra.cli.switch import switch

    switch(service, stopped=True, edit_only=edit_only, stack=stack)


def start(service: options.Service, edit_only: EditOnly = False, stack: options.Stack = None) -> None:
    """Start a stopped service: sets `stopped: false` in the stack file, then runs `pulumi up`.

    [dim]$ inferform start chat[/]
    """
    from infra.cli.switch import switch

    switch(service, stopped=False, edit_only=edit_only, stack=stack)


def repair(
    force: Annotated[
        bool, typer.Option("--force", help="Go on although a Pulumi command seems to run on this stack.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")] = False,
    stack: options.Stack = None,
) -> None:
    """Make a stack usable again after its Pulumi command was killed.

    Takes the lock away that the killed command left, ends what it left running, and clears the creates that it left
    pending. A plain `pulumi up` afterwards finishes the update; with the stack file reverted it undoes it.

    [dim]$ inferform repair && pulumi up[/]
    """
    from infra.cli.repair import repair as run

    run(stack, force=force, dry_run=dry_run)


COMMANDS: dict[str, Callable[..., None]] = {"stop": stop, "start": start, "repair": repair}
