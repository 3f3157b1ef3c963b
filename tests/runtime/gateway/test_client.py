"""Clients that are slow, rude, old, or in a hurry."""

from __future__ import annotations

import asyncio
import json

import pytest

from runtime.gateway.client import Timeouts
from tests.runtime.gateway.conftest import MakeReplica
from tests.runtime.gateway.harness import (
    AUTH,
    HANDSHAKE,
    Connection,
    Front,
    ask,
    counting,
    echoing_socket,
    fronting,
    post,
    silent,
    until,
    view_of,
)

SHORT = Timeouts(head=0.05, body=0.05, idle=0.05, stall=0.05, linger=2.0, drain=0.05)


async def test_pipelined_requests_are_answered_in_order(replica: MakeReplica) -> None:
    one = await replica("a", counting)
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        last = post(b"abc", lines=b"Connection: close\r\n")
        answers = await front.raw(b"\r\n" + post(b"a") + post() + post(b"ab") + last)
        bodies = [part[:1] for part in answers.split(b"\r\n\r\n")[1:]]
    assert bodies == [b"1", b"0", b"2", b"3"]


async def test_pipelined_requests_split_anywhere_are_the_same_requests(replica: MakeReplica) -> None:
    one = await replica("a", counting)
    chunked = post(lines=b"Transfer-Encoding: chunked\r\n") + b"3\r\nabc\r\n0\r\n\r\n"
    data = post(b"ab") + chunked + post(lines=b"Connection: close\r\n")
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        for width in (1, 2, 7, 50):
            reader, writer = await front.connect()
            for at in range(0, len(data), width):
                writer.write(data[at : at + width])
                await asyncio.sleep(0)
            answers = await asyncio.wait_for(reader.read(-1), 10)
            writer.close()
            assert answers.count(b"HTTP/1.1 200 OK") == 3, width


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (post(lines=b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n") + b"0\r\n\r\nGET /x HTTP/1.1\r\n\r\n", 400),
        (post(lines=b"Transfer-Encoding: chunked\r\n") + b"zz\r\nabc\r\n0\r\n\r\n", 400),
        (post(lines=b"Transfer-Encoding: chunked\r\n") + b"3\r\nabcd\r\n0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: t\r\nX: " + b"y" * 40000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: t\r\nX: " + b"y" * 40000, 431),
        (b"nonsense\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET * HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", 400),
        (post(b"abc", lines=b"Expect: 200-maybe\r\n"), 417),
        (b"CONNECT t:80 HTTP/1.1\r\nHost: t:80\r\nConnection: close\r\n\r\n", 400),
    ],
)
async def test_what_is_no_proper_request_is_refused_and_the_connection_closed(
    replica: MakeReplica, data: bytes, status: int
) -> None:
    one = await replica("a", counting)
    async with fronting(view_of({"v1": [one.endpoint()]}), SHORT) as front:
        answer = await front.raw(data)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert head.count(b"HTTP/1.1") == 1
    assert json.loads(body).keys() == {"code", "message"}


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /api/predict/chat HT", 408),
        (b"GET /api/predict/chat HTTP/1.1\r\nHost: t\r\n", 408),
        (post(b"abc")[:-1], 408),
        (post(lines=b"Transfer-Encoding: chunked\r\n") + b"3\r\nab", 408),
        (post(lines=b"Transfer-Encoding: chunked\r\n") + b"3\r\nabc\r\n", 408),
    ],
)
async def test_a_request_that_stops_half_way_is_408(replica: MakeReplica, data: bytes, status: int) -> None:
    one = await replica("a", silent)
    async with fronting(view_of({"v1": [one.endpoint()]}), SHORT) as front:
        assert (await front.raw(data)).startswith(b"HTTP/1.1 %d " % status)


async def test_a_connection_without_a_request_is_closed_without_a_word(replica: MakeReplica) -> None:
    one = await replica()
    async with fronting(view_of({"v1": [one.endpoint()]}), SHORT) as front:
        assert await front.raw(b"") == b""
        answer = await front.raw(post())
        assert answer.count(b"HTTP/1.1") == 1


async def test_a_client_that_leaves_frees_its_place_and_the_replica_learns_of_it(replica: MakeReplica) -> None:
    async def endless(connection: Connection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        await connection.reader.read()

    one = await replica("a", endless)
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        reader, writer = await front.connect()
        writer.write(post())
        await reader.readuntil(b"\r\na\r\n")
        writer.close()
        await asyncio.wait_for(one.closed.wait(), 5)
        await until(lambda: not front.in_flight())
        assert front.gateway.records.by_code == {("chat", 499): 1}


@pytest.mark.parametrize("held", [False, True])
async def test_a_client_that_leaves_before_the_answer_is_499(replica: MakeReplica, held: bool) -> None:
    one = await replica("a", silent)
    async with fronting(view_of({"v1": [one.endpoint(ready=not held)]})) as front:
        _, writer = await front.connect()
        writer.write(post(b"hi"))
        await until(lambda: front.gateway.services["chat"].held if held else one.heads)
        writer.close()
        await until(lambda: front.gateway.records.by_code)
        assert front.gateway.records.by_code == {("chat", 499): 1}


async def flood(connection: Connection) -> None:
    """Sends until nobody takes it any more; counts what it could send."""
    await connection.head()
    await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    connection.writer.transport.set_write_buffer_limits(0)
    while True:
        await connection.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        connection.replica.sent += 65536


async def test_a_slow_reader_stops_its_replica_and_not_the_gateways_memory(replica: MakeReplica) -> None:
    one = await replica("a", flood)
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        reader, writer = await front.connect()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(post())
        before = -1
        while before != one.sent or not one.sent:
            before = one.sent
            await asyncio.sleep(0.05)
        assert one.sent < 32 << 20  # what the kernel's buffers on the way take
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        await reader.readexactly(before)
        await until(lambda: one.sent > before)
        writer.close()
        await until(lambda: not front.in_flight())


async def test_a_reader_that_stalls_for_good_is_cut(replica: MakeReplica) -> None:
    one = await replica("a", flood)
    async with fronting(view_of({"v1": [one.endpoint()]}), SHORT) as front:
        _, writer = await front.connect()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(post())
        await until(lambda: front.gateway.records.by_code)
        assert front.gateway.records.by_code == {("chat", 499): 1}
        assert not front.in_flight()
        writer.transport.abort()


async def test_an_upload_is_slowed_to_what_its_replica_takes(replica: MakeReplica) -> None:
    step = asyncio.Event()

    async def late(connection: Connection) -> None:
        connection.reader._limit = 1 << 16  # type: ignore[attr-defined]
        await connection.head()
        await step.wait()
        await connection.answer(str(len(await connection.body())).encode())

    one = await replica("a", late)
    size = 48 << 20
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        reader, writer = await front.connect()
        writer.transport.set_write_buffer_limits(0)
        sending = asyncio.create_task(ask(reader, writer, post(b"x" * size)))
        await until(lambda: one.heads)
        await asyncio.sleep(0.1)
        assert not sending.done()
        step.set()
        assert (await sending).endswith(str(size).encode())
        writer.close()


async def test_a_client_of_http_1_0_gets_no_chunks_and_may_keep_its_connection(replica: MakeReplica) -> None:
    one = await replica()
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        old = b"POST /api/predict/chat HTTP/1.0\r\n" + AUTH
        assert (await front.raw(old + b"\r\n")).endswith(b"\r\n\r\na")
        reader, writer = await front.connect()
        for _ in range(2):
            answer = await ask(reader, writer, old + b"Connection: keep-alive\r\n\r\n")
            assert b"Connection: keep-alive\r\n" in answer
        writer.close()
    assert all(head.startswith(b"POST /api/predict/chat HTTP/1.0\r\n") for head in one.heads)


async def test_a_client_that_waits_for_100_continue_gets_it_only_when_its_body_is_wanted(replica: MakeReplica) -> None:
    one = await replica("a", counting)
    async with fronting(view_of({"v1": [one.endpoint()]}, limits={"body_mib": 1})) as front:
        reader, writer = await front.connect()
        expecting = post(b"abc", lines=b"Expect: 100-continue\r\n")
        writer.write(expecting[:-3])
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await ask(reader, writer, b"abc")).endswith(b"\r\n\r\n3")
        writer.close()
        assert b"xpect" not in one.heads[0]
        for unwanted, status in (
            (expecting.replace(b"YWJj", b"xxxx"), 401),
            (post(b"", lines=b"Expect: 100-continue\r\nContent-Length: 2000000\r\n"), 413),
        ):
            reader, writer = await front.connect()
            writer.write(unwanted[: unwanted.index(b"\r\n\r\n") + 4])
            assert (await reader.read(-1)).startswith(b"HTTP/1.1 %d " % status)
            writer.close()


async def test_a_socket_is_tunnelled_both_ways_until_either_side_closes(replica: MakeReplica) -> None:
    one = await replica("a", echoing_socket)
    async with fronting(view_of({"v1": [one.endpoint()]}, limits={"request_seconds": 0.05})) as front:
        reader, writer = await front.connect()
        writer.write(HANDSHAKE + AUTH + b"\r\nearly")
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" in head
        assert sorted(await reader.readexactly(10)) == sorted(b"helloearly")
        await asyncio.sleep(0.06)  # the clock of 408 is the replica's, request by request
        writer.write(b"\x81\x00\xff" * 1000)
        assert await reader.readexactly(3000) == b"\x81\x00\xff" * 1000
        assert front.in_flight() == 2
        writer.close()
        await asyncio.wait_for(one.closed.wait(), 5)
        await until(lambda: not front.in_flight())

        async def closing(connection: Connection) -> None:
            await connection.head()
            await connection.send(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nbye"
            )

        one.script = closing
        assert (await front.raw(HANDSHAKE + AUTH + b"\r\n")).endswith(b"\r\n\r\nbye")
    assert b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" in one.heads[0]


async def test_a_refused_handshake_is_passed_on_like_any_answer(replica: MakeReplica) -> None:
    one = await replica("a", counting)
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        reader, writer = await front.connect()
        assert (await ask(reader, writer, HANDSHAKE + AUTH + b"\r\n")).endswith(b"\r\n\r\n0")
        assert (await ask(reader, writer, post(b"ab"))).endswith(b"\r\n\r\n2")
        writer.close()


async def test_a_handshake_that_is_never_answered_is_504(replica: MakeReplica) -> None:
    one = await replica("a", silent)
    async with fronting(view_of({"v1": [one.endpoint()]}, limits={"request_seconds": 0.05})) as front:
        assert (await front.raw(HANDSHAKE + AUTH + b"Connection: close\r\n\r\n")).startswith(b"HTTP/1.1 504 ")


async def test_an_upgrade_to_anything_else_is_ignored(replica: MakeReplica) -> None:
    one = await replica("a", counting)
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        reader, writer = await front.connect()
        upgrade = post(b"ab", lines=b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n")
        assert (await ask(reader, writer, upgrade)).endswith(b"\r\n\r\n2")
        writer.close()
    assert b"pgrade" not in one.heads[0]
    assert b"HTTP2" not in one.heads[0]


async def test_an_answer_before_the_end_of_the_body_is_delivered(replica: MakeReplica) -> None:
    async def early(connection: Connection) -> None:
        await connection.head()
        await connection.answer(b"no", status=b"400 Bad Request")
        await connection.reader.read()

    one = await replica("a", early)
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        reader, writer = await front.connect()
        writer.write(post(b"x" * 1000)[:-500])
        answer = await asyncio.wait_for(reader.read(-1), 5)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 400 Bad Request")
    assert answer.endswith(b"no")
    assert b"Connection: close" in answer


async def open_stream(front: Front) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await front.connect()
    writer.write(post())
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def test_a_drain_ends_what_runs_and_takes_nothing_new(replica: MakeReplica) -> None:
    step = asyncio.Event()

    async def slow(connection: Connection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
        await step.wait()
        await connection.send(b"end")

    one = await replica("a", slow)
    async with fronting(view_of({"v1": [one.endpoint()]}), Timeouts(drain=0.05)) as front:
        running, running_writer = await open_stream(front)
        idle, idle_writer = await front.connect()
        await until(lambda: len(front.server.connections) == 2)
        draining = asyncio.create_task(front.server.drain(10))
        assert await asyncio.wait_for(idle.read(), 5) == b""
        with pytest.raises(OSError):
            await front.connect()
        assert not draining.done()
        step.set()
        assert await asyncio.wait_for(running.read(), 5) == b"end"
        await asyncio.wait_for(draining, 5)
        for writer in (running_writer, idle_writer):
            writer.close()


async def test_a_request_that_was_on_its_way_when_the_drain_began_is_answered_and_is_the_last(
    replica: MakeReplica,
) -> None:
    one = await replica()
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        kept, kept_writer = await front.connect()
        fresh, fresh_writer = await front.connect()
        await ask(kept, kept_writer, post())
        await until(lambda: len(front.server.connections) == 2)
        draining = asyncio.create_task(front.server.drain(10))
        await asyncio.sleep(0)
        for reader, writer in ((kept, kept_writer), (fresh, fresh_writer)):
            assert b"Connection: close" in await ask(reader, writer, post())
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
        await asyncio.wait_for(draining, 5)


async def test_a_drain_that_takes_too_long_cuts_what_is_left(replica: MakeReplica) -> None:
    one = await replica("a", silent)
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        asking = asyncio.create_task(front.raw(post()))
        await until(lambda: one.heads)
        await front.server.drain(0.02)
        assert (await asking).startswith(b"HTTP/1.1 503 ")
