"""Replicas as real processes: start, stop, crash, failure, logs."""

from __future__ import annotations

import asyncio
import os
import signal

from runtime.contract.phases import Phase
from tests.runtime.host.conftest import Local, record


async def test_a_version_is_scaled_up_and_down(host: Local) -> None:
    path = await host.run(record(), replicas=2)
    assert len(host.processes()) == 2
    state = await host.state(path)
    assert (state.wanted, [replica.phase for replica in state.replicas]) == (2, [Phase.READY, Phase.READY])
    await host.call("PUT", f"{path}/scale", {"replicas": 1})
    left = await host.until(path, lambda state: len(state.replicas) == 1)
    assert left.replicas[0].replica.endswith("-0"), "the newest goes first"
    assert host.processes() == {left.replicas[0].pid}


async def test_a_killed_replica_is_started_again_after_a_back_off(host: Local) -> None:
    path = await host.run(record())
    pid = (await host.state(path)).replicas[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    waiting = await host.until(path, lambda state: state.replicas[0].pid is None)
    assert waiting.replicas[0].error == "killed by SIGKILL"
    assert not waiting.replicas[0].ready
    again = await host.until(path, lambda state: state.replicas[0].ready)
    assert (again.replicas[0].pid != pid, again.replicas[0].restarts) == (True, 1)


async def test_a_start_that_fails_is_remembered_with_phase_reason_and_log(host: Local) -> None:
    path = await host.declare(record(exit=3))
    await host.call("PUT", f"{path}/scale", {"replicas": 1})
    state = await host.until(path, lambda state: state.failure is not None)
    assert state.failure is not None
    assert (state.failure.phase, state.failure.reason) == (Phase.IMAGE, "exit code 3")
    assert state.failure.log_tail == ("replica speaks", "cannot go on")
    await host.call("PUT", f"{path}/scale", {"replicas": 0})
    ended = await host.until(path, lambda state: not state.replicas)
    assert ended.failure is not None, "the record stays"
    leased = await host.call("PUT", f"{path}/lease", {"seconds": 30})
    assert leased["failure"] is None, "a new rollout starts clean"


async def test_what_a_replica_says_of_its_failure_is_the_reason(host: Local) -> None:
    path = await host.declare(record(fails="weights are broken"))
    await host.call("PUT", f"{path}/scale", {"replicas": 1})
    state = await host.until(path, lambda state: state.failure is not None)
    assert state.failure is not None
    assert (state.failure.phase, state.failure.reason) == (Phase.ENGINE, "weights are broken")


async def test_a_replica_that_ignores_sigterm_is_killed_with_its_helpers(host: Local) -> None:
    path = await host.run(record(ignores_sigterm=True, has_child=True))
    pid = (await host.state(path)).replicas[0].pid
    assert pid is not None
    session = os.getsid(pid)
    await host.call("DELETE", path)
    assert not host.processes()
    assert not [entry for entry in os.listdir("/proc") if entry.isdigit() and _session(int(entry)) == session]


def _session(pid: int) -> int | None:
    from runtime.host.process import stat

    found = stat(pid)
    return found.session if found and found.state != "Z" else None


async def test_delete_answers_when_nothing_is_left(host: Local) -> None:
    path = await host.run(record(), replicas=2)
    answer = await host.call("DELETE", path)
    assert answer.status == 200
    assert not host.processes()
    assert (await host.get(path)).status == 404
    assert not list(host.folder.specs.iterdir())
    assert not list(host.folder.sockets.iterdir())


async def test_logs_are_read_and_followed(host: Local) -> None:
    path = await host.run(record(), replicas=2)
    async with host.session.get(f"http://host{path}/logs") as response:
        text = await response.text()
    assert text.count("replica speaks") == 2
    one = (await host.state(path)).replicas[0].replica
    async with host.session.get(f"http://host{path}/logs", params={"replica": one, "tail": 0, "follow": 1}) as response:
        log = host.folder.log("chat", one)
        with log.open("a") as file:
            file.write("one more line\n")
        assert await asyncio.wait_for(response.content.readline(), 5) == b"one more line\n"
    missing = await host.get(f"{path}/logs?replica=nobody")
    assert (missing.status, missing["code"]) == (404, "NotFound")


async def test_a_renewed_lease_keeps_the_failure_and_another_run_forgets_it(host: Local) -> None:
    path = await host.declare(record(exit=3))
    await host.call("PUT", f"{path}/lease", {"seconds": 30}, epoch=1)
    await host.call("PUT", f"{path}/scale", {"replicas": 1}, epoch=1)
    await host.until(path, lambda state: state.failure is not None)
    renewed = await host.call("PUT", f"{path}/lease", {"seconds": 30}, epoch=1)
    assert renewed["failure"] is not None
    await host.call("PUT", f"{path}/scale", {"replicas": 0}, epoch=1)
    taken_over = await host.call("PUT", f"{path}/lease", {"seconds": 30}, epoch=2)
    assert taken_over["failure"] is None


async def test_a_process_that_cannot_be_spawned_is_a_failed_start(host: Local) -> None:
    path = await host.declare(record())
    host.folder.specs.rmdir()
    host.folder.specs.write_text("a file where a folder should be")
    await host.call("PUT", f"{path}/scale", {"replicas": 1})
    state = await host.state(path)
    assert state.failure is not None
    assert (state.failure.phase, state.replicas[0].restarts) == (Phase.SCHEDULE, 1)
    assert "cannot be started" in state.failure.reason
    host.folder.specs.unlink()
    host.folder.specs.mkdir()
    await host.until(path, lambda state: state.replicas[0].ready)
