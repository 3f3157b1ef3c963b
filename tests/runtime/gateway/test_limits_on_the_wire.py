"""413, 429 and 408 as a client sees them."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.runtime.gateway.conftest import MakeReplica
from tests.runtime.gateway.harness import (
    Connection,
    ask,
    counting,
    fronting,
    post,
    silent,
    swallowing,
    until,
    view_of,
)


async def test_above_the_rate_the_answer_is_429_with_retry_after(replica: MakeReplica) -> None:
    one = await replica()
    async with fronting(view_of({"v1": [one.endpoint()]}, limits={"qps": 2})) as front:
        answers = [await front.request() for _ in range(3)]
        assert (await front.request("GET", token=None))[0] == 200  # readiness is not limited
        assert (await front.request(token="no"))[0] == 401
    assert [status for status, _, _ in answers] == [200, 200, 429]
    assert json.loads(answers[2][2]) == {"code": "TooManyRequests", "message": "rate limit exceeded"}
    assert b"Retry-After: 1" in answers[2][1]


async def test_above_the_concurrency_the_answer_is_429_until_one_ends(replica: MakeReplica) -> None:
    step = asyncio.Event()

    async def slow(connection: Connection) -> None:
        await connection.head()
        await step.wait()
        await connection.answer()

    one = await replica("a", slow)
    async with fronting(view_of({"v1": [one.endpoint()]}, limits={"concurrency": 1})) as front:
        first = asyncio.create_task(front.request())
        await until(lambda: one.heads)
        assert (await front.request())[0] == 429
        step.set()
        assert (await first)[0] == 200
        assert (await front.request())[0] == 200


async def test_above_the_rate_of_every_replica_the_answer_is_429(replica: MakeReplica) -> None:
    one = await replica()
    async with fronting(view_of({"v1": [one.endpoint()]}, limits={"qps_per_replica": 1})) as front:
        assert [(await front.request())[0] for _ in range(2)] == [200, 429]


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_limit_is_413_and_the_client_can_read_it(replica: MakeReplica, chunked: bool) -> None:
    one = await replica("a", swallowing)
    size = 8 * 1024 * 1024
    async with fronting(view_of({"v1": [one.endpoint()]}, limits={"body_mib": 1})) as front:
        reader, writer = await front.connect()
        if chunked:
            writer.write(post(lines=b"Transfer-Encoding: chunked\r\n"))
            writer.write(b"%x\r\n" % size + b"x" * size + b"\r\n0\r\n\r\n")
        else:
            writer.write(post(b"x" * size))
        answer = await reader.read(-1)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"Connection: close" in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "PayloadTooLarge"


async def test_a_large_body_is_streamed_and_not_kept(replica: MakeReplica) -> None:
    one = await replica("a", counting)
    size = 6 * 1024 * 1024
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        assert (await front.request(body=b"x" * size))[::2] == (200, str(size).encode())
        reader, writer = await front.connect()
        writer.write(post(lines=b"Transfer-Encoding: chunked\r\n"))
        for _ in range(3):
            writer.write(b"%x\r\n" % (1 << 20) + b"y" * (1 << 20) + b"\r\n")
            await writer.drain()
        answer = await ask(reader, writer, b"0\r\n\r\n")
        assert int(answer.rpartition(b"\r\n")[2]) > 3 << 20
        writer.close()


async def test_after_its_time_a_request_is_408_and_the_connection_closed(replica: MakeReplica) -> None:
    one = await replica("a", silent)
    async with fronting(view_of({"v1": [one.endpoint()]}, limits={"request_seconds": 0.05})) as front:
        answer = await front.raw(post())
        assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert b"Connection: close" in answer
        await asyncio.wait_for(one.closed.wait(), 5)


async def test_after_its_time_a_stream_is_cut_without_its_last_chunk(replica: MakeReplica) -> None:
    async def endless(connection: Connection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        await connection.reader.read()

    one = await replica("a", endless)
    async with fronting(view_of({"v1": [one.endpoint()]}, limits={"request_seconds": 0.05})) as front:
        reader, writer = await front.connect()
        writer.write(post())
        seen = b""
        with pytest.raises(ConnectionResetError):
            while data := await asyncio.wait_for(reader.read(100), 5):
                seen += data
            raise ConnectionResetError
        assert seen.endswith(b"1\r\na\r\n")
        writer.close()
