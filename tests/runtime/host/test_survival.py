"""Deaths: of the host, a replica, the gateway, of everything; and who is kept out."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
from dataclasses import replace

from runtime.host.store import Store
from tests.runtime.host.conftest import Daemon, record


async def gateway_pid(port: int) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    pid = int(await asyncio.wait_for(reader.read(), 10))
    writer.close()
    return pid


async def test_a_killed_host_comes_back_to_the_same_processes(daemon: Daemon) -> None:
    path = await daemon.run(record(), replicas=2)
    port = (await daemon.call("PUT", "/v1/gateway", {"port": 0}))["settings"]["port"]
    before = daemon.processes()
    assert len(before) == 3
    daemon.kill()
    assert daemon.processes() == before
    await daemon.start()
    state = await daemon.until(path, lambda state: all(replica.ready for replica in state.replicas))
    assert daemon.processes() == before
    assert {replica.pid for replica in state.replicas} < before
    assert await gateway_pid(port) in before
    info = await daemon.get("/v1/host")
    assert info["gateway"]["pid"] == await gateway_pid(port)


async def test_a_replica_that_was_adopted_is_watched_like_any_other(daemon: Daemon) -> None:
    path = await daemon.run(record())
    daemon.kill()
    await daemon.start()
    pid = (await daemon.state(path)).replicas[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    again = await daemon.until(path, lambda state: state.replicas[0].ready and state.replicas[0].pid != pid)
    assert again.replicas[0].restarts == 1


async def test_sigterm_leaves_everything_running(daemon: Daemon) -> None:
    await daemon.run(record())
    before = daemon.processes()
    daemon.kill(signal.SIGTERM)
    assert daemon.process is not None
    assert daemon.process.returncode == 0
    assert daemon.processes() == before
    await daemon.start()
    assert daemon.processes() == before


async def test_after_everything_died_everything_is_started_again(daemon: Daemon) -> None:
    path = await daemon.run(record(), replicas=2)
    await daemon.route({record().hash: 100})
    port = (await daemon.call("PUT", "/v1/gateway", {"port": 0}))["settings"]["port"]
    before = daemon.processes()
    daemon.kill()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    await daemon.start()
    await daemon.until(path, lambda state: len(state.replicas) == 2 and all(entry.ready for entry in state.replicas))
    assert await gateway_pid(port) not in before
    assert (await daemon.get("/v1/services/chat/route"))["table"]["generation"] == 1


async def test_a_process_that_no_record_knows_is_ended(daemon: Daemon) -> None:
    await daemon.run(record())
    daemon.kill()
    for name in ("host.db", "host.db-wal", "host.db-shm"):
        (daemon.folder.state / name).unlink(missing_ok=True)
    await daemon.start()
    for _ in range(100):
        if not daemon.processes():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the orphan still runs")


async def test_a_process_whose_record_was_not_finished_is_adopted(daemon: Daemon) -> None:
    path = await daemon.run(record())
    before = daemon.processes()
    daemon.kill()
    store = Store(daemon.folder.database)  # as if the host had died between the spawn and the second write
    store.put_slot(replace(store.slots()[0], pid=0, start=0, boot=""))
    store.close()
    await daemon.start()
    await daemon.until(path, lambda state: state.replicas[0].ready)
    assert daemon.processes() == before


async def test_a_second_host_is_refused_and_says_who_runs(daemon: Daemon) -> None:
    second = daemon.launch()
    _, error = await asyncio.to_thread(second.communicate)
    assert second.returncode == 4
    assert daemon.process is not None
    assert f'\\"pid\\": {daemon.process.pid}' in error.decode()


async def test_a_folder_of_another_stack_or_machine_is_refused(daemon: Daemon) -> None:
    daemon.kill(signal.SIGTERM)
    second = daemon.launch(stack="organization/test/other")
    _, error = await asyncio.to_thread(second.communicate)
    assert second.returncode == 3
    assert "ForeignState" in error.decode()


async def test_a_dead_gateway_is_replaced_and_no_connection_is_refused(daemon: Daemon) -> None:
    port = (await daemon.call("PUT", "/v1/gateway", {"port": 0}))["settings"]["port"]
    first = await gateway_pid(port)
    os.kill(first, signal.SIGKILL)
    second = await gateway_pid(port)
    assert second != first
    daemon.kill()
    await daemon.start()  # it adopts the gateway and its listening socket
    os.kill(second, signal.SIGKILL)
    assert await gateway_pid(port) not in (first, second)


async def test_a_busy_port_names_its_holder(daemon: Daemon) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        answer = await daemon.call("PUT", "/v1/gateway", {"port": taken.getsockname()[1]})
    assert (answer.status, answer["code"]) == (409, "PortBusy")
    assert f"process {os.getpid()} (" in answer["message"]


async def test_shutdown_leaves_no_process_no_socket_no_port(daemon: Daemon) -> None:
    path = await daemon.run(record(), replicas=2)
    await daemon.route({record().hash: 100})
    port = (await daemon.call("PUT", "/v1/gateway", {"port": 0}))["settings"]["port"]
    refused = await daemon.call("POST", "/v1/shutdown")
    assert (refused.status, refused["code"]) == (409, "InUse")
    await daemon.call("DELETE", "/v1/services/chat/route")
    assert (await daemon.call("POST", "/v1/shutdown")).status == 200
    assert daemon.process is not None
    assert await asyncio.to_thread(daemon.process.wait, 10) == 0
    assert not daemon.processes()
    assert not daemon.folder.host_socket.parent.exists()
    assert sorted(entry.name for entry in daemon.folder.state.iterdir()) == ["logs"]
    socket.create_server(("127.0.0.1", port)).close()
    assert path


async def test_epochs_leases_routes_and_tokens_survive_a_killed_host(daemon: Daemon) -> None:
    path = await daemon.declare(record())
    await daemon.call("PUT", f"{path}/lease", {"seconds": 60})
    await daemon.route({record().hash: 100})
    await daemon.call("PUT", "/v1/services/chat/token", {"token": "first-token", "rotation": 1})
    epoch = (await daemon.call("POST", "/v1/epochs"))["epoch"]
    daemon.kill()
    await daemon.start()
    assert (await daemon.get("/v1/host"))["epoch"] == epoch
    state = await daemon.state(path)
    assert (state.leased, state.routed) == (True, True)
    again = await daemon.call("PUT", "/v1/services/chat/token", {"token": "second-token", "rotation": 1})
    assert again["token"] == "first-token", "the first of a rotation wins"


async def test_a_deleted_state_folder_ends_everything_and_a_new_host_may_start(daemon: Daemon) -> None:
    await daemon.run(record())
    await daemon.call("PUT", "/v1/gateway", {"port": 0})
    shutil.rmtree(daemon.folder.state)
    old, second = daemon.process, daemon.launch()
    assert old is not None
    assert await asyncio.to_thread(old.wait, 10) == 0
    assert old.stderr is not None
    old.stderr.close()
    daemon.process = second
    await daemon.until_serving()
    assert not daemon.processes()
    assert (await daemon.get("/v1/versions"))["list"] == []


async def test_a_host_that_is_told_to_leave_hands_everything_to_its_successor(daemon: Daemon) -> None:
    await daemon.run(record())
    before = daemon.processes()
    assert (await daemon.call("POST", "/v1/leave")).status == 200
    assert daemon.process is not None
    assert await asyncio.to_thread(daemon.process.wait, 10) == 0
    assert daemon.processes() == before
    daemon.kill()
    await daemon.start()
    assert daemon.processes() == before


async def test_a_gateway_of_other_code_is_replaced_without_a_refused_connection(daemon: Daemon) -> None:
    port = (await daemon.call("PUT", "/v1/gateway", {"port": 0}))["settings"]["port"]
    old = await gateway_pid(port)
    daemon.kill()
    store = Store(daemon.folder.database)  # as if it had been started before an upgrade
    row = store.gateway
    assert row is not None
    store.put_gateway(replace(row, code="of yesterday"))
    store.close()
    await daemon.start()
    pids = set()
    while old in daemon.processes():
        pids.add(await gateway_pid(port))
    pids.add(await gateway_pid(port))
    assert pids - {old}, "its successor answers"
    assert (await daemon.get("/v1/host"))["gateway"]["pid"] in pids
