"""The command's surface: what there is, in the order in which a user meets it."""

from __future__ import annotations

from collections.abc import Callable

import typer

from infra.cli import author, eas, image, manifests, models, observe, operate, pinning, reach
from infra.cli.failure import reported
from infra.cli.overview import Overview

app = typer.Typer(
    name="inferform",
    cls=Overview,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "Deploy and scale models as an infrastructure diff.\n\n"
        "Write a stack file with [bold]inferform init[/], look at what it means with [bold]inferform plan[/], "
        "make it real with [bold]pulumi up[/], then [bold]inferform call SERVICE 'a question'[/]."
    ),
    epilog="Exit codes: 0 fine, 1 errors, 2 wrong usage, 3 warnings (plan --strict).",
)

PANELS: tuple[tuple[str, dict[str, Callable[..., None]]], ...] = (
    ("Write a stack file", {**author.COMMANDS, **pinning.COMMANDS, **manifests.COMMANDS}),
    ("Reach a service", reach.COMMANDS),
    ("See what runs", observe.COMMANDS),
    ("Operate", operate.COMMANDS),
    ("Come from EAS, and go back", eas.COMMANDS),
)
for panel, commands in PANELS:
    for name, command in commands.items():
        app.command(name, rich_help_panel=panel)(reported(command))

app.add_typer(models.app, name="models", rich_help_panel="Write a stack file")
app.add_typer(image.app, name="image", rich_help_panel="Write a stack file")
app.add_typer(pinning.catalog_app, name="catalog", rich_help_panel="Write a stack file")
