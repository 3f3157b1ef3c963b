"""A PATH on which the only engines are those that a test writes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that is PATH, with the few programs that the fakes need."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("sh", "cp", "rm"):
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("INFERFORM_CACHE", str(tmp_path / "cache"))
    return folder
