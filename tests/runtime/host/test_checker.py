"""EAS's checks against real processes: what they ask, and what a failing one does to its replica."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from runtime.contract.host import VersionRecord
from runtime.contract.phases import Phase
from runtime.contract.version import Bounds, EngineKind, Method, Probe, VersionTemplate
from runtime.host.checker import Checker
from tests.runtime.host.conftest import Daemon, Local

SHORT: dict[str, Any] = {"initial_delay_seconds": 0, "period_seconds": 1}
ASKED = {"http_path": "/health", **SHORT}


def checked(probes: dict[str, dict[str, Any]], said: Path) -> VersionRecord:
    template = VersionTemplate(
        method=Method.STANDARD,
        engine=EngineKind.SCRIPTED,
        engine_args={"check": str(said)},
        probes={name: Probe(**probe) for name, probe in probes.items()},
        drain_seconds=1,
    )
    bounds = Bounds(min=1, max=3)
    return VersionRecord(service="chat", name="v1", hash=template.hash(), template=template, bounds=bounds)


async def test_a_replica_takes_no_traffic_before_its_startup_check_passed(host: Local, tmp_path: Path) -> None:
    said = tmp_path / "said"
    said.write_text("503")
    path = await host.declare(checked({"startup": {**ASKED, "failure_threshold": 30}}, said))
    await host.call("PUT", f"{path}/scale", {"replicas": 1})
    waiting = await host.until(path, lambda state: "startup" in (state.replicas[0].detail if state.replicas else ""))
    assert not waiting.replicas[0].ready
    said.write_text("204")
    ready = await host.until(path, lambda state: state.replicas[0].ready)
    assert ready.replicas[0].pid == waiting.replicas[0].pid


async def test_a_startup_check_that_never_passes_is_a_failed_start(host: Local, tmp_path: Path) -> None:
    said = tmp_path / "said"
    said.write_text("404")
    path = await host.declare(checked({"startup": {**ASKED, "failure_threshold": 2}}, said))
    await host.call("PUT", f"{path}/scale", {"replicas": 1})
    state = await host.until(path, lambda state: state.failure is not None)
    assert state.failure is not None
    assert state.failure.reason.startswith(
        "its startup check failed 2 times in a row: GET /health answered 404 (killed by SIGKILL"
    )


async def test_a_failing_liveness_check_restarts_the_replica(host: Local, tmp_path: Path) -> None:
    said = tmp_path / "said"
    said.write_text("200")
    path = await host.run(checked({"liveness": {**ASKED, "failure_threshold": 2}}, said))
    pid = (await host.state(path)).replicas[0].pid
    said.write_text("500")
    gone = await host.until(path, lambda state: state.replicas[0].pid != pid)
    assert gone.replicas[0].restarts == 1
    said.write_text("200")
    await host.until(path, lambda state: state.replicas[0].ready)


async def test_a_failing_readiness_check_takes_a_replica_out_of_traffic_and_lets_it_live(
    host: Local, tmp_path: Path
) -> None:
    said = tmp_path / "said"
    said.write_text("200")
    path = await host.run(checked({"readiness": ASKED}, said))
    pid = (await host.state(path)).replicas[0].pid
    said.write_text("hang")
    out = await host.until(path, lambda state: not state.replicas[0].ready)
    assert (out.replicas[0].pid, out.replicas[0].phase) == (pid, Phase.READY)
    assert out.replicas[0].detail == "waits for its readiness check: GET /health took longer than 1 s"
    [endpoint] = next(iter(host.host.view.current.services["chat"].endpoints.values()))
    assert not endpoint.ready
    said.write_text("200")
    back = await host.until(path, lambda state: state.replicas[0].ready)
    assert back.replicas[0].pid == pid


async def test_a_host_that_comes_back_keeps_what_served_in_traffic(daemon: Daemon, tmp_path: Path) -> None:
    said = tmp_path / "said"
    said.write_text("200")
    path = await daemon.run(checked({"readiness": {**ASKED, "failure_threshold": 3}}, said))
    daemon.kill()
    said.write_text("503")
    await daemon.start()
    assert (await daemon.state(path)).replicas[0].ready, "until the check has failed again"
    await daemon.until(path, lambda state: not state.replicas[0].ready)


def checker(tmp_path: Path, socket: str = "/nowhere.sock", **environment: str) -> Checker:
    return Checker(
        {},
        socket=socket,
        environment={**os.environ, **environment},
        folder=tmp_path,
        age=0,
        passed_before=False,
        changed=lambda: None,
    )


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (("true",), ""),
        (("false",), "false ended with 1"),
        (("sh", "-c", "echo no $WORD; exit 3"), "sh ended with 3: no luck"),
        (("sh", "-c", 'test -d . && test "$(pwd)" = "$HERE"'), ""),
        (("/no/such/program",), "/no/such/program: No such file or directory"),
        (("sleep", "60"), "sleep took longer than 1 s"),
    ],
)
async def test_a_command_passes_when_it_ends_with_0_in_time(
    tmp_path: Path, command: tuple[str, ...], problem: str
) -> None:
    found = await checker(tmp_path, WORD="luck", HERE=str(tmp_path)).ask(Probe(command=command))
    assert found == problem


async def test_a_command_that_takes_too_long_ends_with_what_it_started(tmp_path: Path) -> None:
    assert await checker(tmp_path).ask(Probe(command=("sh", "-c", "sleep 60 & echo $! > pid; wait")))
    pid = (tmp_path / "pid").read_text().strip()
    for _ in range(100):
        if not (Path("/proc") / pid).exists() or "Z" in (Path("/proc") / pid / "stat").read_text().split()[2]:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the command's helper lives on")


async def test_a_tcp_check_asks_whether_the_replica_takes_a_connection(tmp_path: Path) -> None:
    path = f"/tmp/if-check-{os.getpid()}.sock"
    probe = Probe(tcp_port=8000)
    assert await checker(tmp_path, path).ask(probe) == "it takes no connection: No such file or directory"
    server = await asyncio.start_unix_server(lambda reader, writer: writer.close(), path)
    try:
        assert await checker(tmp_path, path).ask(probe) == ""
    finally:
        server.close()
        Path(path).unlink(missing_ok=True)
