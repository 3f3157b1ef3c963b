"""`inferform render`: a stack's manifests as plain YAML, for GitOps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from infra.cli import options
from infra.cli.failure import ERRORS, USAGE, Failure


def render(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Where to. Default: target.render of the stack file.")
    ] = None,
    stack: options.Stack = None,
) -> None:
    """Write the Kubernetes manifests of a stack: one object a file, in the order in which they can be applied.

    Needs no cluster and no Pulumi engine. Tokens are no part of it: docs/kubernetes.md says how to make them.

    [dim]$ inferform render ./manifests --stack prod[/]
    [dim]$ kubectl apply -f ./manifests[/]
    """
    from infra.cli.planning import load_and_plan
    from infra.cli.project import find
    from infra.plan import text
    from infra.stackfile import KubernetesTarget

    here = find(stack)
    declared, plan = load_and_plan(here.file)
    if plan.errors or declared is None:
        typer.echo(text(plan), nl=False)
        raise typer.Exit(ERRORS)
    target = declared.target
    if not isinstance(target, KubernetesTarget):
        said = f"target.kind is {target.kind}, and only kubernetes has manifests"
        raise Failure(said, "choose a stack of target kubernetes with --stack", code=USAGE)
    where = folder or (declared.path(target.render) if target.render else None)
    if where is None:
        raise Failure("there is no folder to write to", "name one, or say target.render in the stack file", code=USAGE)
    from components.targets.kubernetes.render import manifests, write  # imports Pulumi's SDK

    try:
        files = write(where, manifests(declared, plan, f"{here.project.name}.{here.stack}"))
    except OSError as refused:
        raise Failure(f"{where} cannot be written: {refused.strerror}") from refused
    typer.echo(f"{len(files)} manifests in {where}; tokens are yours to make (docs/kubernetes.md)")


COMMANDS: dict[str, Callable[..., None]] = {"render": render}
