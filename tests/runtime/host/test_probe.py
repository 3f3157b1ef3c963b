"""Health as seen from outside: not answering ends a replica that was ready, and no other."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from runtime.contract.phases import Phase
from runtime.contract.replica import ReplicaStatus
from runtime.host import probe as module
from runtime.host.bell import Bell
from runtime.host.probe import Probe


class Script:
    """What the replica's status says; None: it hangs."""

    status: ReplicaStatus | None = None


def status(phase: Phase, *, ready: bool) -> ReplicaStatus:
    return ReplicaStatus(service="chat", replica="chat-a-0", hash="a", phase=phase, since=0, ready=ready)


@pytest.fixture
async def probed(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Probe, Script, Bell]]:
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(module, "STARTING_SECONDS", 0.01)
    monkeypatch.setattr(module, "READY_SECONDS", 0.01)
    script, bell, gone = Script(), Bell(), asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        if script.status is None:
            await gone.wait()
            return web.Response(status=503)
        return web.Response(text=script.status.to_json())

    app = web.Application()
    app.router.add_get("/-/status", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    with tempfile.TemporaryDirectory(prefix="if-") as folder:
        path = str(Path(folder) / "r.sock")
        await web.UnixSite(runner, path).start()
        probe = Probe(path, lambda: 0.0, bell.ring)
        probe.start()
        yield probe, script, bell
        gone.set()
        probe.stop()
        await runner.cleanup()


async def test_a_replica_that_stops_answering_is_dead(probed: tuple[Probe, Script, Bell]) -> None:
    probe, script, bell = probed
    script.status = status(Phase.READY, ready=True)
    assert await bell.until(lambda: probe.ready, 5)
    assert probe.dead(5) == ""
    script.status = None
    assert await bell.until(lambda: not probe.ready, 5)
    assert probe.dead(5) == "it did not answer /-/status 3 times in a row"


async def test_one_that_still_starts_may_be_silent(probed: tuple[Probe, Script, Bell]) -> None:
    probe, script, bell = probed
    script.status = status(Phase.WEIGHTS, ready=False)
    assert await bell.until(lambda: probe.status is not None, 5)
    script.status = None
    assert await bell.until(lambda: probe.misses > 4, 5)
    assert probe.dead(5) == ""


async def test_one_that_failed_has_a_moment_to_exit_by_itself(probed: tuple[Probe, Script, Bell]) -> None:
    probe, script, bell = probed
    script.status = status(Phase.FAILED, ready=False)
    assert await bell.until(lambda: probe.status is not None, 5)
    assert probe.dead(5) == ""
    assert probe.dead(0) == "it said that it failed and did not exit"
