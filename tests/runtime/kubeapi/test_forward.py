"""HTTP to a pod through the API server's WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from runtime.kubeapi import ForwardBroken, request
from tests.runtime.kubeapi.fake_api import FakeApi, client_of, fake_api


@asynccontextmanager
async def pod(api: FakeApi, answer: bytes, name: str = "a", port: int = 8000) -> AsyncIterator[list[bytes]]:
    """A pod that answers every request with these bytes and closes; the heads of its requests."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or b"0")
        heads.append(head + await reader.readexactly(length))
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    api.pods[name, port] = server.sockets[0].getsockname()[1]
    async with server:
        yield heads


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Y: z\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Y: z\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nX-Y: z\r\n\r\nhello",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Y: z\r\n\r\nhello",
    ],
)
async def test_an_answer_is_read_whole_however_it_ends(answer: bytes) -> None:
    async with fake_api() as api, client_of(api) as kube, pod(api, answer):
        got = await request(kube, "llm", "a", 8000, "GET", "/-/status")
        assert (got.status, got.headers["x-y"], got.body) == (200, "z", b"hello")


async def test_a_large_body_goes_there_and_back() -> None:
    big = b"x" * 300_000
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + big
    async with fake_api() as api, client_of(api) as kube, pod(api, answer) as heads:
        got = await request(kube, "llm", "a", 8000, "POST", "/x", headers={"X-Token": "t"}, body=big)
        assert got.body == big
        assert heads[0].endswith(big)
        assert b"X-Token: t\r\n" in heads[0]


async def test_a_port_where_nobody_listens_is_broken_with_the_kubelets_words() -> None:
    async with fake_api() as api, client_of(api) as kube:
        with pytest.raises(ForwardBroken, match="port 8000 of pod a in llm: connection refused"):
            await request(kube, "llm", "a", 8000, "GET", "/")


async def test_an_answer_that_stops_short_is_broken() -> None:
    short = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello"
    async with fake_api() as api, client_of(api) as kube, pod(api, short):
        with pytest.raises(ForwardBroken, match="before its answer was whole"):
            await request(kube, "llm", "a", 8000, "GET", "/")


async def test_what_is_not_http_is_broken() -> None:
    async with fake_api() as api, client_of(api) as kube, pod(api, b"+OK pop3 ready\r\n\r\n"):
        with pytest.raises(ForwardBroken, match=r"no HTTP/1\.1"):
            await request(kube, "llm", "a", 8000, "GET", "/")
