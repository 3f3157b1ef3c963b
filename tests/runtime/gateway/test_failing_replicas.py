"""Replicas that break off, refuse, lie or talk too much."""

from __future__ import annotations

import asyncio
import json
from typing import cast

import pytest

from runtime.gateway.upstream import ReplicaConnection, Sink, UpstreamLost
from tests.runtime.gateway.conftest import MakeReplica
from tests.runtime.gateway.harness import (
    Connection,
    ask,
    draining,
    fronting,
    post,
    queue_full,
    resetting,
    until,
    view_of,
)


async def test_a_replica_that_breaks_off_before_its_answer_is_replaced_once(replica: MakeReplica) -> None:
    bad, good = await replica("bad", resetting), await replica("good")
    async with fronting(view_of({"v1": [bad.endpoint(), good.endpoint()]})) as front:
        for _ in range(4):
            assert (await front.request(body=b"hello"))[::2] == (200, b"good")
        assert front.gateway.records.retries == len(bad.heads) > 0


async def test_a_replica_that_closes_as_soon_as_it_accepted_is_replaced(replica: MakeReplica) -> None:
    async def closing(connection: Connection) -> None:
        """Before a byte of the request was read, perhaps before one was sent."""

    bad, good = await replica("bad", closing), await replica("good")
    async with fronting(view_of({"v1": [bad.endpoint(), good.endpoint()]})) as front:
        assert [(await front.request(body=b"hello"))[::2] for _ in range(8)] == [(200, b"good")] * 8


def test_a_connection_that_was_lost_before_its_first_request_fails_that_request() -> None:
    loop = asyncio.new_event_loop()
    try:
        connection = ReplicaConnection(loop)
        connection.connection_lost(None)
        head = connection.begin(b"POST", b"", cast(Sink, None))
        with pytest.raises(UpstreamLost, match="before the request was sent"):
            loop.run_until_complete(head)
    finally:
        loop.close()


async def test_a_request_is_not_tried_more_than_twice(replica: MakeReplica) -> None:
    replicas = [await replica(name, resetting) for name in ("a", "b", "c")]
    async with fronting(view_of({"v1": [each.endpoint() for each in replicas]})) as front:
        status, _, body = await front.request(body=b"hello")
    assert status == 502
    assert json.loads(body)["code"] == "BadGateway"
    assert sum(len(each.heads) for each in replicas) == 2


async def test_a_replica_that_refuses_connections_is_passed_over(replica: MakeReplica) -> None:
    gone = await replica("gone", listen=False)
    good = await replica("good")
    async with fronting(view_of({"v1": [gone.endpoint(), good.endpoint()]})) as front:
        assert [(await front.request())[2] for _ in range(4)] == [b"good"] * 4


async def test_the_only_replica_is_waited_for_while_it_restarts(replica: MakeReplica) -> None:
    one = await replica("a", listen=False)
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        waiting = asyncio.create_task(front.request(body=b"hi"))
        await until(lambda: front.gateway.services["chat"].held)
        await one.start()
        assert (await waiting)[::2] == (200, b"a")


async def test_an_unreachable_replica_is_503_when_nobody_may_wait(replica: MakeReplica) -> None:
    gone = await replica("gone", listen=False)
    async with fronting(view_of({"v1": [gone.endpoint()]}, limits={"hold_seconds": 0.05})) as front:
        assert (await front.request())[::2] == (503, b"no healthy upstream")
        assert (await front.request("GET", token=None))[::2] == (503, b"no healthy upstream")


async def test_a_kept_connection_that_the_replica_closed_costs_nothing(replica: MakeReplica) -> None:
    async def one_each(connection: Connection) -> None:
        await connection.head()
        await connection.answer()
        await connection.head()  # the second request is read and never answered

    one = await replica("a", one_each)
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        assert [(await front.request())[0] for _ in range(4)] == [200] * 4
        assert front.gateway.records.retries == 0
    assert one.connections == 4


async def test_kept_connections_are_used_again(replica: MakeReplica) -> None:
    one = await replica()
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        for _ in range(5):
            await front.request(body=b"x")
    assert one.connections == 1


async def test_a_full_queue_is_tried_on_one_other_replica(replica: MakeReplica) -> None:
    full, good = await replica("full", queue_full), await replica("good")
    async with fronting(view_of({"v1": [full.endpoint(), good.endpoint()]})) as front:
        assert [(await front.request(body=b"x"))[2] for _ in range(4)] == [b"good"] * 4


async def test_a_replica_that_drains_since_a_moment_ago_is_replaced_by_another(replica: MakeReplica) -> None:
    ending, good = await replica("ending", draining), await replica("good")
    async with fronting(view_of({"v1": [ending.endpoint(), good.endpoint()]})) as front:
        assert [(await front.request(body=b"x"))[2] for _ in range(4)] == [b"good"] * 4


async def test_when_the_only_replica_drains_the_request_waits_for_the_next_one(replica: MakeReplica) -> None:
    ending, good = await replica("ending", draining), await replica("good")
    async with fronting(view_of({"v1": [ending.endpoint()]})) as front:
        waiting = asyncio.create_task(front.request(body=b"x"))
        await until(lambda: front.gateway.services["chat"].held)
        front.gateway.apply(view_of({"v1": [ending.endpoint(draining=True), good.endpoint()]}, revision=2))
        assert (await waiting)[::2] == (200, b"good")


async def test_an_own_503_of_the_replica_is_passed_on_when_there_is_no_other_one(replica: MakeReplica) -> None:
    async def overloaded(connection: Connection) -> None:
        await connection.head()
        await connection.answer(b"later", status=b"503 Service Unavailable")

    one = await replica("a", overloaded)
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        assert (await front.request())[::2] == (503, b"later")
    assert len(one.heads) == 1


async def test_a_full_queue_everywhere_is_passed_on_and_closes_the_connection(replica: MakeReplica) -> None:
    replicas = [await replica(name, queue_full) for name in ("a", "b", "c")]
    async with fronting(view_of({"v1": [each.endpoint() for each in replicas]})) as front:
        answer = await front.raw(post(b"x"))
    assert answer.startswith(b"HTTP/1.1 450 Queue Full\r\n")
    assert b"Connection: close\r\n" in answer
    assert answer.endswith(b'{"code":"QueueFull"}')
    assert sum(len(each.heads) for each in replicas) == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 40000,
        b"HTTP/1.1 200 OK\r\nX: y",  # and the end of the connection
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ],
)
async def test_an_invalid_answer_is_502(replica: MakeReplica, answer: bytes) -> None:
    async def invalid(connection: Connection) -> None:
        await connection.head()
        await connection.send(answer)

    one = await replica("a", invalid)
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        status, _, body = await front.request()
    assert status == 502
    assert json.loads(body)["code"] == "BadGateway"


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        (b"Content-Length: 5\r\n\r\nab", b"ab"),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", b"2\r\nab\r\n"),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\nzz\r\n", b""),
    ],
)
async def test_an_answer_that_breaks_off_is_cut_and_never_looks_whole(
    replica: MakeReplica, answer: bytes, seen: bytes
) -> None:
    async def breaking(connection: Connection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\n" + answer)

    one = await replica("a", breaking)
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        reader, writer = await front.connect()
        writer.write(post())
        data = b""
        try:
            while part := await asyncio.wait_for(reader.read(1000), 5):
                data += part
        except ConnectionResetError:
            pass
        writer.close()
    assert data.partition(b"\r\n\r\n")[2] in (seen, b"")
    assert len(one.heads) == 1


async def test_bytes_after_an_answer_never_reach_the_next_request(replica: MakeReplica) -> None:
    async def talkative(connection: Connection) -> None:
        await connection.head()
        await connection.send(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL"
        )
        await connection.reader.read()

    one = await replica("a", talkative)
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        reader, writer = await front.connect()
        for _ in range(3):
            assert (await ask(reader, writer, post())).endswith(b"\r\n\r\nok")
        writer.close()
    assert one.connections == 3


async def test_an_answer_that_ends_with_its_connection_is_whole(replica: MakeReplica) -> None:
    async def until_close(connection: Connection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\n\r\nall of it")

    one = await replica("a", until_close)
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        answer = await front.raw(post())
    assert b"Connection: close" in answer
    assert answer.endswith(b"\r\n\r\nall of it")


async def test_an_interim_answer_is_not_taken_for_the_final_one(replica: MakeReplica) -> None:
    async def interim(connection: Connection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 102 Processing\r\n\r\n")
        await connection.answer(b"final")

    one = await replica("a", interim)
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        assert (await front.request())[::2] == (200, b"final")


async def test_an_error_of_the_replica_is_passed_on_untouched(replica: MakeReplica) -> None:
    async def failing(connection: Connection) -> None:
        await connection.head()
        await connection.answer(
            b'{"detail":"Not Found"}', status=b"404 Not Found", headers=b"X-Inferform-Version: own\r\n"
        )

    one = await replica("a", failing)
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        status, head, body = await front.request(path="/api/predict/chat/nowhere")
    assert (status, body) == (404, b'{"detail":"Not Found"}')
    assert head.count(b"X-Inferform-Version") == 1
    assert b"X-Inferform-Version: own" in head
