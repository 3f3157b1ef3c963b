"""The `inferform` command. Modules here import at their top only what `--help` needs; commands import the rest."""

from __future__ import annotations

import gc

SHORT_LIVED = 50_000
"""Objects between two collections: a command ends before there is much to collect, and imports make many."""


def main() -> None:
    """The console script."""
    gc.set_threshold(SHORT_LIVED)
    from infra.cli.app import app
    from infra.cli.failure import report_bugs

    report_bugs()
    app(prog_name="inferform")
