"""The command's surface."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from infra.cli.app import app

COMMANDS = [
    "call",
    "endpoint",
    "export-eas",
    "import-eas",
    "init",
    "logs",
    "models",
    "plan",
    "repair",
    "schema",
    "start",
    "status",
    "stop",
    "token",
]


def test_help_names_every_command() -> None:
    output = CliRunner().invoke(app, ["--help"]).output
    assert [command for command in COMMANDS if command not in output] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches_by_an_example(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"$ inferform {command}" in result.output


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, infra.cli.app; "
        "print(sorted({'pydantic', 'ruamel.yaml', 'catalog', 'psutil', 'pulumi', 'aiohttp'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_overview_loads_no_rich() -> None:
    """It is what most people see first, and Rich takes longer to load than everything else."""
    code = (
        "import sys; from typer.testing import CliRunner; from infra.cli.app import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "print(sorted(name for name in sys.modules if name.split('.')[0] in ('rich', 'markdown_it', 'pygments')))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_an_unknown_command_is_wrong_usage() -> None:
    assert CliRunner().invoke(app, ["plann"]).exit_code == 2
