"""`pulumi schema check`: what the SDK generators of all languages bind first."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from infra.provider.schema import package
from tests.e2e.harness.project import pulumi_program


def test_pulumi_finds_nothing_wrong_with_the_schema(tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(package()))
    environment = {**os.environ, "PULUMI_HOME": str(tmp_path / "home"), "PULUMI_SKIP_UPDATE_CHECK": "true"}
    command = [pulumi_program(), "schema", "check", str(schema)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in (done.stdout + done.stderr).lower()
