"""Commands about the catalog's models: `models`, `models show`."""

from __future__ import annotations

from typing import Annotated

import typer

from infra.cli.failure import reported
from infra.cli.observe import Output

app = typer.Typer(
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    help="List the models that the catalog knows, or show one.\n\n[dim]$ inferform models --search qwen[/]\n\n"
    "[dim]$ inferform models --fits a10[/]\n\n[dim]$ inferform models show SmolLM2-135M-Instruct[/]",
)


@app.callback()
@reported
def list_models(
    context: typer.Context,
    search: Annotated[str, typer.Option("--search", help="Only models whose id, family or source contains this.")] = "",
    fits: Annotated[
        str, typer.Option("--fits", metavar="GPU", help="Only models that fit 1 to 8 of this GPU, and how many.")
    ] = "",
    output: Annotated[Output, typer.Option("--output", "-o", help="text, or json for machines.")] = Output.TEXT,
) -> None:
    """List the models that the catalog knows."""
    if context.invoked_subcommand:
        return
    import json

    from infra.cli.catalogue import found, table

    models = found(search=search, gpu=fits)
    if output is Output.JSON:
        typer.echo(
            json.dumps(
                [{**model.model_dump(mode="json", by_alias=True), "gpus": gpus} for model, gpus in models], indent=2
            )
        )
    else:
        typer.echo(table(models, gpu=fits), nl=False)


@app.command("show")
@reported
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model's id.")],
    output: Annotated[Output, typer.Option("--output", "-o", help="text, or json for machines.")] = Output.TEXT,
) -> None:
    """Show what the catalog knows of one model, and how far each fact was verified."""
    import json

    from infra.cli.catalogue import details, one

    model = one(name)
    if output is Output.JSON:
        typer.echo(json.dumps(model.model_dump(mode="json", by_alias=True), indent=2))
    else:
        typer.echo(details(model), nl=False)
