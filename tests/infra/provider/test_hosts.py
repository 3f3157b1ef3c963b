"""A host that an upgrade has left behind is replaced before the first write, and keeps what it knows."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from infra.provider import hosts as module
from infra.provider.hosts import DATABASE, Hosts
from infra.provider.operation import Operation

FAKE_REPLICAS = Path(__file__).parents[2] / "runtime" / "host" / "fake_host.py"


def command(state: Path, stack: str) -> list[str]:
    return [sys.executable, str(FAKE_REPLICAS), "--state", str(state), "--stack", stack]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="if-") as short:  # a socket's path has at most 107 bytes
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        yield


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[tuple[Hosts, str]]:
    started, state = Hosts(command), str(tmp_path / "state")
    yield started, state
    last = started.reader(state).host().pid
    started.reader(state).shutdown()
    os.waitid(os.P_PID, last, os.WEXITED | os.WNOWAIT)
    started.forget(state)  # reaps it


CREATOR = """
import sys
from infra.provider.hosts import Hosts
from infra.provider.operation import Operation
from tests.infra.provider.test_hosts import command
hosts = Hosts(command)
print(hosts.ensure(sys.argv[1], Operation()).pid, flush=True)
if sys.argv[2] == "keep":
    hosts.keep(sys.argv[1])
    print("kept", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("keep", [False, True])
def test_a_host_whose_creation_was_cut_off_ends_and_one_that_was_kept_stays(tmp_path: Path, keep: bool) -> None:
    state = tmp_path / "state"
    words = [sys.executable, "-c", CREATOR, str(state), "keep" if keep else "die"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as creator:
        assert creator.stdout is not None
        host = psutil.Process(int(creator.stdout.readline()))
        if keep:
            assert creator.stdout.readline() == "kept\n"
        creator.kill()
    if keep:
        assert Hosts(command).reader(str(state)).host().pid == host.pid
        Hosts(command).reader(str(state)).shutdown()
    host.wait(timeout=20)
    assert not (state / DATABASE).exists()


def test_a_host_of_other_code_is_replaced_and_its_epochs_go_on(
    hosts: tuple[Hosts, str], operation: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, state = hosts
    first = started.ensure(state, operation)
    started.keep(state)
    assert started.writer(state, operation).epoch == 1
    assert started.reader(state).host().pid == first.pid, "the same code: it stays"
    monkeypatch.setattr(module, "host_code", lambda: "of tomorrow")
    started.forget(state)  # as in the next run of the plugin
    assert started.writer(state, operation).epoch == 2
    second = started.reader(state).host()
    assert second.pid != first.pid
    assert started.writer(state, operation).epoch == 2
    assert started.reader(state).host().pid == second.pid, "once a run"
