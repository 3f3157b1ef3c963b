"""OpenAI's API of method vllm: vLLM's own bytes, in both directions (eas-protocols.md section 8).

The gateway's connections to replicas do the same work, so vLLM is reached through them: heads are rewritten, bodies are
copied with their framing, nothing between the two sockets is parsed, and no task wakes up for a chunk.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from aiohttp import HttpVersion11, web

from runtime.contract.cluster import GATEWAY_HEADER
from runtime.gateway.heads import ResponseHead, forward_response
from runtime.gateway.pool import ReplicaPool
from runtime.gateway.upstream import ReplicaConnection, UpstreamInvalid, UpstreamLost
from runtime.replica import answers
from runtime.replica.call import Call, Routes
from runtime.replica.protocols.usage import StreamMeter

if TYPE_CHECKING:  # a replica of another engine has no use for it
    from runtime.replica.engines.vllm.engine import VllmEngine

HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"te", b"trailer",
     b"transfer-encoding", b"upgrade", b"content-length", b"host", b"authorization", b"expect",
     GATEWAY_HEADER.lower().encode())
)  # fmt: skip
"""Not passed on: they belong to one connection, or carry a secret of the service, which is not vLLM's business."""
FULL_BYTES = 65536
"""More than this unsent: nothing is read from vLLM until the client has taken it."""


def routes() -> Routes:
    """Everything under /v1, and /health."""
    both = {"GET": forward, "POST": forward}
    return {"/v1/*": both, "/v1/chat/*": both, "/v1/audio/*": both, "/health": {"GET": forward}}


async def forward(call: Call) -> web.StreamResponse:
    """One request to vLLM and its answer back, as it comes."""
    call.protocol = "openai"
    engine, request = cast("VllmEngine", call.replica.engine), call.request
    limits, load = call.settings.limits, engine.load()
    if request.method == "POST" and limits.queue and load.queue >= limits.queue:
        return answers.queue_full(f"{load.queue} requests wait already; this replica queues at most {limits.queue}")
    if request.version < HttpVersion11:
        return answers.error(505, "HttpVersionNotSupported", "vLLM's API needs HTTP/1.1")
    with engine.busy():
        passage = _Passage(call, engine.pool)
        try:
            return await passage.run()
        except (UpstreamLost, UpstreamInvalid, OSError):
            if call.streaming is not None:
                call.break_off()
                return call.streaming
            return answers.error(502, "BadGateway", "vLLM broke the connection")
        finally:
            passage.end()


class _Passed(web.StreamResponse):
    """An answer whose bytes are on the wire already; aiohttp has nothing left to send."""

    def __init__(self, call: Call, status: int) -> None:
        super().__init__(status=status)
        self._eof_sent = True
        self._keep_alive = call.request.keep_alive


class _Passage:
    """One request's way to vLLM and back: the sink of a connection, and the meter of what passes."""

    def __init__(self, call: Call, pool: ReplicaPool) -> None:
        transport = call.request.transport
        if transport is None:
            raise ConnectionResetError("the client has left")
        self.write_paused = False
        self._call, self._pool, self._transport = call, pool, transport
        self._connection: ReplicaConnection | None = None
        self._draining: asyncio.Task[None] | None = None
        self._meter: StreamMeter | None = None
        self._last = 0.0

    async def run(self) -> web.StreamResponse:
        """Ask and answer. Raises UpstreamLost, UpstreamInvalid and OSError; `end` comes after it in any case."""
        call = self._call
        head = await self._ask()
        if head.status == 200 and call.request.method == "POST":
            self._meter = StreamMeter()
        passed = call.streaming = _Passed(call, head.status)
        head = replace(head, pairs=[pair for pair in head.pairs if pair[0].lower() != b"server"])  # ours is there
        self._transport.write(forward_response(head, connection=self._option(head), extra=self._extra()))
        connection = self._connection
        assert connection is not None
        await connection.stream()
        if connection.until_close:
            passed._keep_alive = False
        return passed

    def end(self) -> None:
        """Count, and give the connection back; a request that has not ended is dropped by vLLM."""
        if self._meter is not None:
            usage = self._meter.usage(chat="/chat/" in self._call.path)
            self._call.replica.metrics.prompt_tokens.inc(usage.prompt or 0)
            self._call.replica.metrics.completion_tokens.inc(usage.completion or 0)
        if self._draining is not None:
            self._draining.cancel()
        if self._connection is not None:
            self._pool.give_back(self._connection)

    async def _ask(self) -> ResponseHead:
        """The head of vLLM's answer. A kept connection that vLLM closed in the same moment is replaced, once."""
        request = self._call.request
        asked = _request_head(self._call) + self._call.body
        connection = self._connection = await self._pool.connect()
        try:
            return await connection.begin(request.method.encode(), asked, self)
        except UpstreamLost as lost:
            if lost.answered or not connection.reused:
                raise
        self._pool.give_back(connection)
        self._connection = None
        connection = self._connection = await self._pool.connect(fresh=True)
        return await connection.begin(request.method.encode(), asked, self)

    def _option(self, head: ResponseHead) -> bytes:
        assert self._connection is not None
        return b"close" if self._connection.until_close or not self._call.request.keep_alive else b""

    def _extra(self) -> bytes:
        return b"".join(f"{name}: {value}\r\n".encode() for name, value in self._call.base_headers.items())

    # The sink of the connection ----------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Bytes of the body, framing included."""
        if self._meter is not None and self._meter.feed(data):
            now, metrics = time.perf_counter(), self._call.replica.metrics
            if self._last:
                metrics.inter_token.observe(now - self._last)
            else:
                metrics.ttft.observe(now - self._call.arrived)
            self._last = now
        self._transport.write(data)
        if not self.write_paused and self._transport.get_write_buffer_size() > FULL_BYTES:
            self.write_paused = True
            self._flow()
            self._draining = asyncio.create_task(self._drain())

    def pause_upload(self) -> None:
        """The body is at hand already, and the connection keeps what vLLM has not taken."""

    def resume_upload(self) -> None:
        """As above."""

    async def _drain(self) -> None:
        await self._call.request.writer.drain()
        self.write_paused = False
        self._flow()

    def _flow(self) -> None:
        if self._connection is not None:
            self._connection.flow()


def _request_head(call: Call) -> bytes:
    request = call.request
    query = request.raw_path.partition("?")
    lines = [f"{request.method} {call.path}{query[1]}{query[2]} HTTP/1.1\r\nHost: vllm\r\n".encode()]
    for name, value in request.raw_headers:
        if name.lower() not in HOP_BY_HOP:
            lines += (name, b": ", value, b"\r\n")
    if call.body or request.method == "POST":
        lines.append(b"Content-Length: %d\r\n" % len(call.body))
    lines.append(b"\r\n")
    return b"".join(lines)
