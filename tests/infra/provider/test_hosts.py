"""A host that an upgrade has left behind is replaced before the first write, and keeps what it knows."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.provider import hosts as module
from infra.provider.hosts import Hosts
from infra.provider.operation import Operation

FAKE_REPLICAS = Path(__file__).parents[2] / "runtime" / "host" / "fake_host.py"


def command(state: Path, stack: str) -> list[str]:
    return [sys.executable, str(FAKE_REPLICAS), "--state", str(state), "--stack", stack]


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Hosts, str]]:
    with tempfile.TemporaryDirectory(prefix="if-") as short:  # a socket's path has at most 107 bytes
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        started, state = Hosts(command), str(tmp_path / "state")
        yield started, state
        last = started.reader(state).host().pid
        started.reader(state).shutdown()
        os.waitid(os.P_PID, last, os.WEXITED | os.WNOWAIT)
        started.forget(state)  # reaps it


def test_a_host_of_other_code_is_replaced_and_its_epochs_go_on(
    hosts: tuple[Hosts, str], operation: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, state = hosts
    first = started.ensure(state, operation)
    assert started.writer(state, operation).epoch == 1
    assert started.reader(state).host().pid == first.pid, "the same code: it stays"
    monkeypatch.setattr(module, "host_code", lambda: "of tomorrow")
    started.forget(state)  # as in the next run of the plugin
    assert started.writer(state, operation).epoch == 2
    second = started.reader(state).host()
    assert second.pid != first.pid
    assert started.writer(state, operation).epoch == 2
    assert started.reader(state).host().pid == second.pid, "once a run"
