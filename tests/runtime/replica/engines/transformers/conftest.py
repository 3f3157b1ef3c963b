"""Tiny models, written once per run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runtime.replica.engines.transformers.models import write_model

Models = Callable[[str], Path]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """The folder of a tiny model of the given kind."""
    folders: dict[str, Path] = {}

    def folder(kind: str) -> Path:
        if kind not in folders:
            folders[kind] = write_model(tmp_path_factory.mktemp(kind), kind)
        return folders[kind]

    return folder
