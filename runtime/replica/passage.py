"""One request's way to vLLM's server and back: a connection's sink, and the meter of what passes.

The gateway's connections to replicas do the same work, so vLLM is reached through them: heads are rewritten, bodies are
copied with their framing, nothing between the two sockets is parsed, and no task wakes up for a chunk.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace

from runtime.contract.cluster import GATEWAY_HEADER
from runtime.gateway.heads import ResponseHead, forward_response
from runtime.gateway.pool import ReplicaPool
from runtime.gateway.upstream import ReplicaConnection, UpstreamLost
from runtime.replica.metrics import Metrics
from runtime.replica.protocols.usage import StreamMeter

HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"te", b"trailer",
     b"transfer-encoding", b"upgrade", b"content-length", b"host", b"authorization", b"expect",
     GATEWAY_HEADER.lower().encode())
)  # fmt: skip
"""Not passed on: they belong to one connection, or carry a secret of the service, which is not vLLM's business."""


class Passage:
    """Asks vLLM and sends its answer, as it comes, to a client's transport."""

    def __init__(
        self,
        pool: ReplicaPool,
        metrics: Metrics,
        transport: asyncio.Transport,
        *,
        method: str,
        path: str,
        asked: bytes,
        arrived: float,
    ) -> None:
        """`path`: what follows the prefix; `asked`: head and body; `arrived`: `time.perf_counter()` of the request."""
        self.write_paused = False
        self.answered = False  # the head is on its way to the client
        self._pool, self._metrics, self._transport = pool, metrics, transport
        self._method, self._path, self._asked, self._arrived = method, path, asked, arrived
        self._connection: ReplicaConnection | None = None
        self._coming: asyncio.Future[ResponseHead] | None = None
        self._meter: StreamMeter | None = None
        self._last = 0.0

    def send(self) -> None:
        """Ask at once if a connection is kept: nothing has to be waited for then."""
        self._connection = self._pool.kept()
        if self._connection is not None:
            self._coming = self._connection.begin(self._method.encode(), self._asked, self)

    async def head(self) -> ResponseHead:
        """The head of vLLM's answer. A kept connection that vLLM closed in the same moment is replaced, once.

        Raises UpstreamLost, UpstreamInvalid and OSError; `end` comes after it in any case.
        """
        head: ResponseHead | None = None
        if self._connection is not None and self._coming is not None:
            try:
                head = await self._coming
            except UpstreamLost as lost:
                if lost.answered:
                    raise
                self._pool.give_back(self._connection)
                self._connection = None
        if head is None:
            connection = self._connection = await self._pool.connect(fresh=True)
            head = await connection.begin(self._method.encode(), self._asked, self)
        if head.status == 200 and self._method == "POST":
            self._meter = StreamMeter()
        return head

    async def answer(self, head: ResponseHead, extra: bytes, *, keep_alive: bool) -> bool:
        """Send the answer, with these header lines, to its end. Whether the client's connection goes on after it."""
        connection = self._connection
        assert connection is not None
        self.answered = True
        head = replace(head, pairs=[pair for pair in head.pairs if pair[0].lower() != b"server"])  # ours is there
        option = b"close" if connection.until_close or not keep_alive else b""
        self._transport.write(forward_response(head, connection=option, extra=extra))
        await connection.stream()
        return not option

    def pause(self, paused: bool) -> None:
        """Read from vLLM only while the client takes bytes."""
        self.write_paused = paused
        if self._connection is not None:
            self._connection.flow()

    def end(self) -> None:
        """Count, and give the connection back; a request that has not ended is dropped by vLLM."""
        if self._connection is not None:
            self._pool.give_back(self._connection)
        if self._meter is not None:
            usage = self._meter.usage(chat="/chat/" in self._path)
            self._metrics.prompt_tokens.inc(usage.prompt or 0)
            self._metrics.completion_tokens.inc(usage.completion or 0)

    # The sink of the connection ----------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Bytes of the body, framing included. They leave first and are counted then."""
        self._transport.write(data)
        if self._meter is not None and self._meter.feed(data):
            now = time.perf_counter()
            if self._last:
                self._metrics.inter_token.observe(now - self._last)
            else:
                self._metrics.ttft.observe(now - self._arrived)
            self._last = now

    def pause_upload(self) -> None:
        """The body is at hand already, and the connection keeps what vLLM has not taken."""

    def resume_upload(self) -> None:
        """As above."""


def header_lines(headers: Mapping[str, str]) -> bytes:
    """Headers of our own, as lines of an answer's head."""
    return b"".join(f"{name}: {value}\r\n".encode() for name, value in headers.items())


def request_of(method: str, target: str, pairs: Iterable[tuple[bytes, bytes]], body: bytes) -> bytes:
    """Head and body that vLLM gets; `target` is what follows the prefix, with its query."""
    lines = [f"{method} {target} HTTP/1.1\r\nHost: vllm\r\n".encode()]
    for name, value in pairs:
        if name.lower() not in HOP_BY_HOP:
            lines += (name, b": ", value, b"\r\n")
    if body or method == "POST":
        lines.append(b"Content-Length: %d\r\n" % len(body))
    lines += (b"\r\n", body)
    return b"".join(lines)
