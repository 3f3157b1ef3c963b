"""Deaths: of the host, a replica, the gateway, of everything; and who is kept out."""

from __future__ import annotations

import asyncio
import os
import signal
import socket

from tests.runtime.host.conftest import HostUnderTest, record


async def gateway_pid(port: int) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    pid = int(await asyncio.wait_for(reader.read(), 10))
    writer.close()
    return pid


async def test_a_killed_host_comes_back_to_the_same_processes(host: HostUnderTest) -> None:
    path = await host.run(record(), replicas=2)
    port = (await host.call("PUT", "/v1/gateway", {"port": 0}))["settings"]["port"]
    before = host.processes()
    assert len(before) == 3
    host.kill()
    assert host.processes() == before
    await host.start()
    state = await host.until(path, lambda state: all(replica.ready for replica in state.replicas))
    assert host.processes() == before
    assert {replica.pid for replica in state.replicas} < before
    assert await gateway_pid(port) in before
    info = await host.get("/v1/host")
    assert info["gateway"]["pid"] == await gateway_pid(port)


async def test_a_replica_that_was_adopted_is_watched_like_any_other(host: HostUnderTest) -> None:
    path = await host.run(record())
    host.kill()
    await host.start()
    pid = (await host.state(path)).replicas[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    again = await host.until(path, lambda state: state.replicas[0].ready and state.replicas[0].pid != pid)
    assert again.replicas[0].restarts == 1


async def test_sigterm_leaves_everything_running(host: HostUnderTest) -> None:
    await host.run(record())
    before = host.processes()
    host.kill(signal.SIGTERM)
    assert host.process is not None
    assert host.process.returncode == 0
    assert host.processes() == before
    await host.start()
    assert host.processes() == before


async def test_after_everything_died_everything_is_started_again(host: HostUnderTest) -> None:
    path = await host.run(record(), replicas=2)
    await host.route({record().hash: 100})
    port = (await host.call("PUT", "/v1/gateway", {"port": 0}))["settings"]["port"]
    before = host.processes()
    host.kill()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    await host.start()
    await host.until(path, lambda state: len(state.replicas) == 2 and all(entry.ready for entry in state.replicas))
    assert await gateway_pid(port) not in before
    assert (await host.get("/v1/services/chat/route"))["table"]["generation"] == 1


async def test_a_process_that_no_record_knows_is_ended(host: HostUnderTest) -> None:
    await host.run(record())
    host.kill()
    for name in ("host.db", "host.db-wal", "host.db-shm"):
        (host.folder.state / name).unlink(missing_ok=True)
    await host.start()
    for _ in range(100):
        if not host.processes():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the orphan still runs")


async def test_a_process_whose_record_was_not_finished_is_adopted(host: HostUnderTest) -> None:
    from dataclasses import replace

    from runtime.host.store import Store

    path = await host.run(record())
    before = host.processes()
    host.kill()
    store = Store(host.folder.database)  # as if the host had died between the spawn and the second write
    store.put_slot(replace(store.slots()[0], pid=0, start=0, boot=""))
    store.close()
    await host.start()
    await host.until(path, lambda state: state.replicas[0].ready)
    assert host.processes() == before


async def test_a_second_host_is_refused_and_says_who_runs(host: HostUnderTest) -> None:
    second = host.launch()
    _, error = await asyncio.to_thread(second.communicate)
    assert second.returncode == 4
    assert host.process is not None
    assert f'\\"pid\\": {host.process.pid}' in error.decode()


async def test_a_folder_of_another_stack_or_machine_is_refused(host: HostUnderTest) -> None:
    host.kill(signal.SIGTERM)
    second = host.launch(stack="organization/test/other")
    _, error = await asyncio.to_thread(second.communicate)
    assert second.returncode == 3
    assert "ForeignState" in error.decode()


async def test_a_dead_gateway_is_replaced_and_no_connection_is_refused(host: HostUnderTest) -> None:
    port = (await host.call("PUT", "/v1/gateway", {"port": 0}))["settings"]["port"]
    first = await gateway_pid(port)
    os.kill(first, signal.SIGKILL)
    second = await gateway_pid(port)
    assert second != first
    host.kill()
    await host.start()  # it adopts the gateway and its listening socket
    os.kill(second, signal.SIGKILL)
    assert await gateway_pid(port) not in (first, second)


async def test_a_busy_port_names_its_holder(host: HostUnderTest) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        answer = await host.call("PUT", "/v1/gateway", {"port": taken.getsockname()[1]})
    assert (answer.status, answer["code"]) == (409, "PortBusy")
    assert f"process {os.getpid()} (" in answer["message"]


async def test_shutdown_leaves_no_process_no_socket_no_port(host: HostUnderTest) -> None:
    path = await host.run(record(), replicas=2)
    await host.route({record().hash: 100})
    port = (await host.call("PUT", "/v1/gateway", {"port": 0}))["settings"]["port"]
    refused = await host.call("POST", "/v1/shutdown")
    assert (refused.status, refused["code"]) == (409, "InUse")
    await host.call("DELETE", "/v1/services/chat/route")
    assert (await host.call("POST", "/v1/shutdown")).status == 200
    assert host.process is not None
    assert await asyncio.to_thread(host.process.wait, 10) == 0
    assert not host.processes()
    assert not host.folder.host_socket.parent.exists()
    assert sorted(entry.name for entry in host.folder.state.iterdir()) == ["logs"]
    socket.create_server(("127.0.0.1", port)).close()
    assert path
