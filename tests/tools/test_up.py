"""What scripts/up says at its end can be typed as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.project import Project
from tools.up import closing_lines

OUTPUTS = {"services": {"chat": {"endpoint": "http://127.0.0.1:8070/api/predict/chat", "token": "[secret]"}}}


def test_endpoint_token_command_curl_and_source_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFERFORM_CALLED_FROM", str(tmp_path))
    lines = closing_lines(OUTPUTS, Project(tmp_path)).splitlines()
    curl = next(line for line in lines if line.startswith("curl"))
    assert '-H "Authorization: $(.venv/bin/inferform token chat)"' in curl
    assert curl.endswith(" http://127.0.0.1:8070/api/predict/chat")
    assert lines[-1] == "source .inferform/env"


def test_from_another_folder_the_paths_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFERFORM_CALLED_FROM", str(tmp_path / "elsewhere"))
    assert closing_lines({}, Project(tmp_path)).splitlines()[-1] == f"source {tmp_path}/.inferform/env"


def test_no_secret_is_printed() -> None:
    assert "[secret]" not in closing_lines(OUTPUTS, Project())
