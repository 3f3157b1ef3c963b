"""`inferform --help`: every command in its panel, as plain text. Rich alone would take longer to load than all else."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import typer
from typer.core import TyperGroup

from infra.cli.failure import USAGE

MARKUP = re.compile(r"\[/?[a-z]*\]")
"""Of Rich, as the help of a single command has it: [bold]so[/]."""


class Overview(TyperGroup):
    """The group of all commands. Its own help is plain; a command's help is Rich's."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As typer's; without any argument the overview is shown, which is wrong usage all the same."""
        if not args and not ctx.resilient_parsing:
            typer.echo(ctx.get_help(), color=ctx.color)
            ctx.exit(USAGE)
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Usage, what it is for, options, and the commands by panel. The types are those of the click inside typer."""
        self.format_usage(ctx, formatter)
        for paragraph in paragraphs(self.help):
            formatter.write_paragraph()
            formatter.write_text(paragraph)
        records = [parameter.get_help_record(ctx) for parameter in self.get_params(ctx)]
        panels = {"Options": dict(record for record in records if record)}
        for title, rows in {**panels, **by_panel(self.commands)}.items():
            with formatter.section(typer.style(title, bold=True) if "NO_COLOR" not in os.environ else title):
                formatter.write_dl(list(rows.items()))
        for paragraph in paragraphs(self.epilog):
            formatter.write_paragraph()
            formatter.write_text(paragraph)


def paragraphs(text: str | None) -> list[str]:
    """The paragraphs of a help text, each on one line and without markup."""
    plain = MARKUP.sub("", text or "")
    return [" ".join(paragraph.split()) for paragraph in plain.split("\n\n")]


def by_panel(commands: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Panel -> command -> the first paragraph of its help; hidden ones left out."""
    panels: dict[str, dict[str, str]] = {}
    for name, command in commands.items():
        if not command.hidden:
            panels.setdefault(command.rich_help_panel or "Commands", {})[name] = paragraphs(command.help)[0]
    return panels
