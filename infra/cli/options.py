"""Options and arguments that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Stack = Annotated[
    str | None,
    typer.Option(
        "--stack",
        "-s",
        metavar="NAME",
        help="The stack. Default: PULUMI_STACK, else the selected one, else the only one.",
    ),
]
Service = Annotated[str, typer.Argument(metavar="SERVICE", help="The service's name in the stack file.")]
OptionalService = Annotated[str | None, typer.Argument(metavar="[SERVICE]", help="One service. Default: all.")]
