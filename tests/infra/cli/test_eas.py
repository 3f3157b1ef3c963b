"""`inferform import-eas` and `export-eas`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from infra.cli.app import app
from infra.stackfile import load_file
from infra.stackfile.eas import normalise
from tests.infra.cli.conftest import STACK_FILE

run = CliRunner().invoke
RAW: dict[str, Any] = {
    "metadata": {"name": "from_eas", "instance": 2, "cpu": 2, "memory": 4096, "cuda": "11.2"},
    "containers": [
        {"image": "r/x:1", "command": "python webui/webui_server.py --model-path=Qwen/Qwen2.5-0.5B-Instruct"}
    ],
    "token": "hush",
}


def described(folder: Path, **changes: Any) -> str:
    (folder / "service.json").write_text(json.dumps({**RAW, **changes}))
    return "service.json"


def test_an_import_prints_yaml_and_reports_every_field_on_standard_error(project: Path) -> None:
    result = run(app, ["import-eas", described(project)])
    assert result.exit_code == 0
    assert result.stdout.startswith("from_eas:\n  method: standard\n  model: Qwen2.5-0.5B-Instruct\n")
    assert "warning  metadata.cuda: has no meaning outside Alibaba Cloud" in result.stderr
    assert "secret   token: left out" in result.stderr
    assert "hush" not in result.output


def test_an_import_for_machines_is_json(project: Path) -> None:
    data = json.loads(run(app, ["import-eas", described(project), "-o", "json"]).stdout)
    assert data["service"]["replicas"] == {"min": 2, "max": 2}
    assert {"path": "metadata.cpu", "outcome": "mapped", "text": "resources.cpus"} in data["report"]


def test_an_import_can_be_added_to_the_stack_file_and_exported_again(project: Path) -> None:
    file = project / "Pulumi.local.yaml"
    assert run(app, ["import-eas", described(project), "--write"]).exit_code == 0
    assert all(line in file.read_text().splitlines() for line in STACK_FILE.splitlines())
    assert list(load_file(file).services) == ["from_eas", "chat", "other"]
    result = run(app, ["export-eas", "from_eas"])
    wanted = normalise(RAW)[0]
    assert json.loads(result.stdout) == {key: value for key, value in wanted.items() if key != "token"}
    again = run(app, ["import-eas", "service.json", "--write"])
    assert again.exit_code == 1
    assert "already" in again.stderr


def test_a_refused_file_names_every_field(project: Path) -> None:
    result = run(app, ["import-eas", described(project, metadata={"name": "a-b", "cpu": "x"})])
    assert result.exit_code == 1
    assert "metadata.name" in result.stderr
    assert "metadata.cpu" in result.stderr


def test_a_missing_file_is_wrong_usage(project: Path) -> None:
    described(project)
    result = run(app, ["import-eas", "servce.json"])
    assert result.exit_code == 2
    assert "did you mean service.json?" in result.stderr


def test_an_export_says_what_is_lost_and_overwrites_nothing(project: Path) -> None:
    result = run(app, ["export-eas", "chat", "--file", "out.json"])
    assert result.exit_code == 0
    assert "<registry>" in result.stderr
    document = json.loads((project / "out.json").read_text())
    assert document["autoscaler"] == {"min": 1, "max": 2}
    assert run(app, ["export-eas", "chat", "--file", "out.json"]).exit_code == 1
    missing = run(app, ["export-eas", "chatt"])
    assert (missing.exit_code, "did you mean chat?" in missing.stderr) == (1, True)
