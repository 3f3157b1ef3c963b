"""The overview of all commands."""

from __future__ import annotations

from types import SimpleNamespace

import typer
from typer.testing import CliRunner

from infra.cli.app import PANELS, app
from infra.cli.overview import Overview, by_panel, paragraphs


def test_a_help_text_becomes_paragraphs_without_markup() -> None:
    assert paragraphs("One\n    goes on.\n\n[dim]$ inferform plan[/]") == ["One goes on.", "$ inferform plan"]
    assert paragraphs(None) == [""]


def test_commands_stand_in_their_panels_in_order_with_their_first_paragraph() -> None:
    def command(panel: str | None, text: str, hidden: bool = False) -> SimpleNamespace:
        return SimpleNamespace(rich_help_panel=panel, help=text, hidden=hidden)

    commands = {
        "b": command("See", "B.\n\nMore."),
        "a": command("See", "A."),
        "secret": command("See", "No.", hidden=True),
        "c": command(None, "C."),
    }
    assert by_panel(commands) == {"See": {"b": "B.", "a": "A."}, "Commands": {"c": "C."}}


def test_the_overview_has_usage_options_every_panel_and_the_exit_codes() -> None:
    lines = CliRunner().invoke(app, ["--help"]).output.splitlines()
    assert lines[0] == "Usage: inferform [OPTIONS] COMMAND [ARGS]..."
    assert [line for line in lines if line in ("Options:", *(f"{panel}:" for panel, _ in PANELS))] == [
        "Options:",
        *(f"{panel}:" for panel, _ in PANELS),
    ]
    assert lines[-1] == "Exit codes: 0 fine, 1 errors, 2 wrong usage, 3 warnings (plan --strict)."


def test_without_arguments_the_overview_comes_too() -> None:
    assert "Write a stack file:" in CliRunner().invoke(app, []).output


def test_headings_are_bold_where_colour_is_wanted() -> None:
    bold = typer.style("Operate", bold=True)
    assert bold in CliRunner().invoke(app, ["--help"], color=True).output
    assert bold not in CliRunner().invoke(app, ["--help"], color=True, env={"NO_COLOR": "1"}).output


def test_a_command_keeps_its_own_help() -> None:
    assert issubclass(Overview, typer.core.TyperGroup)
    assert "$ inferform plan" in CliRunner().invoke(app, ["plan", "--help"]).output
