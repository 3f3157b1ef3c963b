"""Commands for writing a stack file and knowing what it means: `init`, `plan`, `models`, `schema`."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from infra.cli import options
from infra.cli.failure import ERRORS, USAGE, WARNINGS, Failure


class PlanOutput(StrEnum):
    """The forms in which a plan is printed."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


def plan(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A stack file. Default: the stack's own.")
    ] = None,
    output: Annotated[
        PlanOutput, typer.Option("--output", "-o", help="text, json for machines, or markdown for a pull request.")
    ] = PlanOutput.TEXT,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="REV|FILE",
            help="What serves now: a git revision or a stack file. Shows what the change costs.",
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="PAGE", help="Also write a page with a picture of what sits where.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 3 when there are warnings.")] = False,
    stack: options.Stack = None,
) -> None:
    """Say what a stack file means before anything is created: does it fit, what runs, what is wrong with it.

    Needs no cluster, no cloud and no Pulumi engine. Exit codes: 0 clean, 1 errors, 2 usage, 3 warnings with --strict.

    [dim]$ inferform plan[/]
    [dim]$ inferform plan Pulumi.prod.yaml --output json --strict[/]
    [dim]$ inferform plan --against HEAD --html plan.html[/]
    """
    import json

    from infra.cli.planning import plan_file
    from infra.cli.project import find
    from infra.plan import Level, markdown, page, text, to_data

    path = file or find(stack).file
    if not path.is_file():
        raise Failure(f"there is no file {path}", "name a stack file, for example Pulumi.local.yaml", code=USAGE)
    made = plan_file(path, against=against)
    if html is not None:
        html.write_text(page(made), encoding="utf-8")
    if output is PlanOutput.JSON:
        typer.echo(json.dumps(to_data(made), indent=2, ensure_ascii=False))
    elif output is PlanOutput.MARKDOWN:
        typer.echo(markdown(made), nl=False)
    else:
        typer.echo(text(made), nl=False)
    if made.errors:
        raise typer.Exit(ERRORS)
    if strict and any(finding.level is Level.WARNING for finding in made.findings):
        raise typer.Exit(WARNINGS)


def schema() -> None:
    """Print the JSON Schema of a stack file, for editors.

    [dim]$ inferform schema > stack.schema.json[/]
    Then begin the stack file with [bold]# yaml-language-server: $schema=stack.schema.json[/]
    """
    from infra.stackfile.schema import schema_text

    typer.echo(schema_text(), nl=False)


def init(
    model: Annotated[
        str | None, typer.Option("--model", help="A catalog id, a path, s3://, hf:// or modelscope://.")
    ] = None,
    method: Annotated[str | None, typer.Option("--method", help="One of the methods that serve the model.")] = None,
    service: Annotated[str, typer.Option("--service", help="The service's name.")] = "chat",
    resources: Annotated[
        str | None,
        typer.Option(
            "--resources", help="public, or instance types in order, separated by commas.", show_default="public"
        ),
    ] = None,
    min_replicas: Annotated[int | None, typer.Option("--min", min=0, help="Fewest replicas.", show_default="1")] = None,
    max_replicas: Annotated[int | None, typer.Option("--max", min=1, help="Most replicas.", show_default="1")] = None,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Where the gateway listens.")] = 8070,
    defaults: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask nothing; take the defaults for what no option says.")
    ] = False,
    stack: Annotated[str, typer.Option("--stack", "-s", envvar="PULUMI_STACK", help="The stack.")] = "local",
) -> None:
    """Write a stack file: asks for a model, then the methods that can serve it, then resources and replicas.

    Options answer questions beforehand; nothing is overwritten.

    [dim]$ inferform init[/]
    [dim]$ inferform init --stack demo --model SmolLM2-135M-Instruct --method standard --max 2 --yes[/]
    """
    from infra.cli.init import Answers, run

    answers = Answers(
        service=service,
        model=model,
        method=method,
        resources=resources,
        minimum=min_replicas,
        maximum=max_replicas,
        port=port,
    )
    run(answers, stack=stack.rpartition("/")[2], ask=not defaults)


COMMANDS: dict[str, Callable[..., None]] = {"init": init, "plan": plan, "schema": schema}
