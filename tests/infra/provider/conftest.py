"""Shared parts of the plugin's tests: a host for a state folder of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.provider.operation import Operation, Severity
from tests.infra.provider.fake_host import FakeHost

URN = "urn:pulumi:dev::proj::inferform:index:ModelService$inferform:index:{kind}::chat"


class Said(list[tuple[Severity, str]]):
    """What an operation logged."""

    def __call__(self, urn: str, severity: Severity, text: str) -> None:
        self.append((severity, text))

    @property
    def text(self) -> str:
        return "\n".join(text for _, text in self)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder whose sockets lie in a folder of the test's own."""
    run = tmp_path / "r"
    run.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(run))
    return tmp_path / "state"


@pytest.fixture
def host(state: Path) -> Iterator[FakeHost]:
    with FakeHost(state) as fake:
        yield fake


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def operation(said: Said) -> Operation:
    return Operation(URN.format(kind="Test"), said)
