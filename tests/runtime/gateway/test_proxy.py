"""The life of a request, against scripted replicas, byte by byte where it matters."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.runtime.gateway.conftest import MakeReplica
from tests.runtime.gateway.harness import TOKEN, Connection, fronting, view_of

AUTH = b"Authorization: " + TOKEN.encode() + b"\r\n"


async def test_a_request_reaches_the_replica_with_path_query_and_headers_unchanged(replica: MakeReplica) -> None:
    one = await replica()
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        path = "/api/predict/chat/v1/models?x=%2F&y=%zz&&"
        status, head, body = await front.request("POST", path, b"abc", headers=b"X-Own: a  b\r\nTE: trailers\r\n")
    assert (status, body) == (200, b"a")
    assert b"\r\nX-Inferform-Version: V1" in head
    assert b"Connection: close" in head
    seen = one.heads[0]
    assert seen.startswith(b"POST /api/predict/chat/v1/models?x=%2F&y=%zz&& HTTP/1.1\r\nHost: test\r\n")
    assert b"X-Own: a  b\r\n" in seen
    assert AUTH in seen
    assert b"TE:" not in seen
    assert b"Connection" not in seen


@pytest.mark.parametrize("authorization", [None, "wrong", "Bearer wrong", TOKEN[:-1], TOKEN + "x", "EAS abc", ""])
async def test_a_wrong_token_is_401_and_reaches_no_replica(replica: MakeReplica, authorization: str | None) -> None:
    one = await replica()
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        status, _, body = await front.request(token=authorization, body=b"hi")
    assert status == 401
    assert json.loads(body) == {"code": "Unauthorized", "message": "Invalid token"}
    assert not one.heads


async def test_an_unknown_service_is_an_empty_404() -> None:
    async with fronting(view_of({})) as front:
        status, head, body = await front.request("GET", "/api/predict/nobody")
    assert (status, body) == (404, b"")
    assert b"Content-Length: 0" in head


async def test_the_root_of_a_service_without_a_replica_is_the_exact_503_at_once() -> None:
    async with fronting(view_of({"v1": []})) as front:
        status, head, body = await front.request("GET", "/api/predict/chat", token=None)
        assert (status, body) == (503, b"no healthy upstream")
        assert b"Content-Type: text/plain\r\n" in head
        status, _, body = await front.request("HEAD", "/api/predict/chat/", token=None)
        assert (status, body) == (503, b"")


async def test_a_stream_is_forwarded_byte_for_byte_as_it_comes(replica: MakeReplica) -> None:
    step = asyncio.Event()

    async def streaming(connection: Connection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=1\r\nhello\r\n")
        await step.wait()
        await connection.send(b"1\r\n!\r\n0\r\nX-Sum: 1\r\n\r\n")
        await connection.head()

    one = await replica("a", streaming)
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        reader, writer = await front.connect()
        writer.write(b"POST /api/predict/chat HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n" + AUTH + b"\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"Transfer-Encoding: chunked" in head
        assert await reader.readexactly(14) == b"5;x=1\r\nhello\r\n"
        assert front.in_flight() == 2
        step.set()
        assert await reader.readuntil(b"\r\n\r\n") == b"1\r\n!\r\n0\r\nX-Sum: 1\r\n\r\n"
        writer.write(b"GET /api/predict/other HTTP/1.1\r\nHost: t\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 404 Not Found")
        writer.close()
