"""The services of a module, and the seed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runtime.replica.openapi import METHODS
from tests.protocols.services import SEED, Services, services


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with services(tmp_path_factory.mktemp("services"), METHODS) as found:
        yield found


def pytest_report_header() -> str:
    return f"fuzzing: INFERFORM_FUZZ_SEED={SEED or '(fixed)'}"
