"""A second cluster beside the first: up, a pod, killed or taken down; what this machine then looks like."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.harness import Cluster, Namespace, pod
from tools.cluster import control
from tools.cluster.layout import Layout
from tools.cluster.process import Process, inside_of

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "cluster"


@pytest.fixture
def state() -> Iterator[Path]:
    """A short folder for it."""
    made = Path(tempfile.mkdtemp(prefix="ifd-", dir="/tmp"))
    yield made
    control.down(made)
    shutil.rmtree(made, ignore_errors=True)


def run(state: Path, *arguments: str, code: int = 0) -> str:
    done = subprocess.run([SCRIPT, "--state", state, *arguments], capture_output=True, text=True, timeout=200)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def status(state: Path, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(state, "status", "--json", code=code))
    return found


def traces(layout: Layout) -> list[str]:
    """What of a cluster can be seen on this machine."""
    mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if str(layout.state) in line]
    devices = [str(path) for path in Path("/sys/class/net").glob(f"{layout.link}*")]
    cgroups = [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/{layout.cgroup}")]
    routes = Path("/proc/net/route").read_text().count(layout.link)
    return [*mounts, *devices, *cgroups, *([f"{routes} routes"] if routes else [])]


def test_a_second_cluster_runs_beside_the_first_and_down_leaves_nothing(cluster: Cluster, state: Path) -> None:
    assert "KUBECONFIG=" in run(state, "up")
    record = control.running_record(state)
    assert record is not None and record.first is not None
    layout = record.layout()
    assert layout.number != cluster.layout.number
    namespace = Namespace(Cluster(layout), "one")
    namespace.apply(pod("web", "serve", ":8000", "hello"))
    namespace.wait_for("pod/web", "condition=Ready")
    assert status(state)["running"] is True
    assert all(part["pid"] for part in status(state)["parts"])
    assert traces(layout) != []
    processes = [Process.of(pid) for pid in inside_of(record.first).values()]
    assert len(processes) >= 10  # the first, eight parts, a shim

    run(state, "down")
    assert not any(process.alive() for process in processes)
    assert traces(layout) == []
    assert not state.exists()
    assert status(state, code=3)["running"] is False
    assert cluster.items("nodes"), "the first one goes on"


def test_a_cluster_whose_first_process_is_killed_is_gone_and_up_starts_a_new_one(state: Path) -> None:
    run(state, "up")
    record = control.running_record(state)
    assert record is not None and record.first is not None
    os.kill(record.first.pid, signal.SIGKILL)
    run(state, "up", "--kwok", "2")
    again = control.running_record(state)
    assert again is not None and again.first != record.first
    assert len(Cluster(again.layout()).items("nodes")) == 3
