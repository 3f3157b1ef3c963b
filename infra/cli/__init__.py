"""The `inferform` command. Modules here import at their top only what `--help` needs; commands import the rest."""

from __future__ import annotations


def main() -> None:
    """The console script."""
    from infra.cli.app import app
    from infra.cli.failure import report_bugs

    report_bugs()
    app(prog_name="inferform")
