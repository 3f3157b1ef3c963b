"""Fixtures of the end-to-end behaviours."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import Project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A throw-away project; its end destroys the stack and asserts that nothing is left.

    In a short folder of its own: unix sockets have at most 107 bytes of path.
    """
    with tempfile.TemporaryDirectory(prefix="ife-") as folder, Project(Path(folder)) as made:
        yield made
