"""The short way of a replica whose engine has a server of its own: most requests are passed on as they came.

A connection begins here. As long as what comes is a whole, plain, authorized request that vLLM answers, nothing else
sees it: no message is built from its bytes and no handler is woken. The first request that is anything else takes the
connection along to aiohttp's server, which knows every answer, and it stays there.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Protocol, cast

from runtime.auth import Headers
from runtime.gateway import answers
from runtime.gateway.heads import HEAD_LIMIT, BadHead, RequestHead, parse_request
from runtime.gateway.upstream import UpstreamInvalid, UpstreamLost
from runtime.replica.call import ABORT_SECONDS, CLIENT_LEFT
from runtime.replica.passage import Passage, request_of
from runtime.replica.replica import Replica

if TYPE_CHECKING:
    from runtime.replica.engines.vllm.engine import VllmEngine

log = logging.getLogger(__name__)

BODY_BYTES = 256 * 1024
"""A larger body is read by aiohttp's server, piece by piece."""
IDLE_SECONDS = 300.0
_METHODS = (b"POST", b"GET")
BODY_SECONDS = 5.0
"""A body that takes longer to come is aiohttp's server to wait for: it has the clocks and the answers for that."""
_LONG_WAY = (b"transfer-encoding", b"expect", b"upgrade", b"content-encoding")  # the last: aiohttp decodes bodies
_END = b"\r\n\r\n"


class After(Enum):
    """What becomes of a connection when an answer is over."""

    NEXT = "the next request"
    CLOSE = "it closes once all has left"
    CUT = "the client must not take what it got for a whole answer"


class Gate(Protocol):
    """What a door asks of its replica."""

    replica: Replica

    def path_of(self, original: str) -> str:
        """The part of a path after the prefix."""

    def passes_on(self, method: str, path: str, original: str, headers: Headers, body: bytes) -> bool:
        """Whether the engine's server answers this request, and may be asked it now."""

    def header_lines(self, request_id: bytes | None) -> bytes:
        """The headers of every answer, as lines."""


class Door(asyncio.Protocol):
    """One client connection until it needs more than passing on."""

    def __init__(self, gate: Gate, long_way: Callable[[], asyncio.Protocol], doors: set[Door]) -> None:
        """`long_way` makes the protocol that takes over; `doors`: all of a server, kept by themselves."""
        self._gate, self._replica, self._long_way, self._doors = gate, gate.replica, long_way, doors
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self.task: asyncio.Task[tuple[int, After]] | None = None
        """Answers the request of now."""
        self._passage: Passage | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._late = self._closing = self._reading_paused = self._write_paused = self._awaits_body = False

    def shut(self) -> None:
        """Close when the request that is being answered has ended."""
        self._closing = True
        if self.task is None and self._transport is not None:
            if self._buffer:
                self._hand_over()  # half a request gets an answer too
            else:
                self._transport.close()

    def cut(self) -> None:
        """End now. Whole answers leave first."""
        if self._transport is None:
            return
        if self.task is None:
            self._transport.close()
        else:
            self._transport.abort()

    # asyncio.Protocol ------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._doors.add(self)
        self._rest()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._buffer = self._buffer + data if self._buffer else data
        if self.task is None:
            self._next()
        elif len(self._buffer) > HEAD_LIMIT and self._transport is not None and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()  # the next requests wait in the socket

    def eof_received(self) -> bool:
        """See asyncio.Protocol. A client that ends its side has gone, as everywhere here."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio.Protocol. vLLM drops what nobody reads."""
        self._transport = None
        self._doors.discard(self)
        self._stop_timer()
        if self.task is not None:
            self.task.cancel()

    def pause_writing(self) -> None:
        """See asyncio.Protocol. It may outlast the request whose answer was too much."""
        self._write_paused = True
        if self._passage is not None:
            self._passage.pause(True)

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self._write_paused = False
        if self._passage is not None:
            self._passage.pause(False)

    # Inside ----------------------------------------------------------------------------------------------------------

    def _next(self) -> None:
        """Pass the next request on, wait for the rest of its body, or hand the connection over."""
        end = self._buffer.find(_END) + len(_END)
        try:
            head = parse_request(self._buffer[:end]) if len(_END) <= end <= HEAD_LIMIT else None
        except BadHead:
            head = None
        size = _body_size(head) if head is not None else -1
        if head is None or size < 0:
            self._hand_over()
        elif len(self._buffer) >= end + size:
            self._begin(head, end, size)
        elif not self._awaits_body:
            self._awaits_body = True
            self._stop_timer()
            self._timer = self._loop.call_later(BODY_SECONDS, self._hand_over)

    def _begin(self, head: RequestHead, end: int, size: int) -> None:
        arrived = time.perf_counter()
        original, mark, query = head.target.decode("latin-1").partition("?")
        method, path = head.method.decode(), self._gate.path_of(original)
        body = self._buffer[end : end + size]
        if not self._gate.passes_on(method, path, original, head.text, body):
            self._hand_over()
            return
        assert self._transport is not None
        self._buffer = self._buffer[end + size :]
        self._awaits_body = False
        self._stop_timer()
        seconds = self._replica.settings.current.limits.request_seconds
        if seconds:
            self._timer = self._loop.call_later(seconds, self._too_late)
        engine = cast("VllmEngine", self._replica.engine)
        passage = self._passage = Passage(
            *(engine.pool, self._replica.metrics, self._transport),
            method=method,
            path=path,
            asked=request_of(method, f"{path}{mark}{query}", head.pairs, body),
            arrived=arrived,
        )
        passage.write_paused = self._write_paused
        held = ExitStack()
        held.enter_context(engine.busy())  # at once: others that come in the same moment see it
        self._replica.enter()
        held.callback(self._replica.leave)
        passage.send()
        self.task = self._loop.create_task(self._pass_on(passage, head, seconds))
        self.task.add_done_callback(partial(self._passed, passage, head, held))

    async def _pass_on(self, passage: Passage, head: RequestHead, seconds: float) -> tuple[int, After]:
        """The answer's status, and what becomes of the connection after it. Cancelled when the client left."""
        try:
            answer = await passage.head()
            extra = self._gate.header_lines(head.get(b"x-request-id"))
            goes_on = await passage.answer(answer, extra, keep_alive=head.keep_alive)
            return answer.status, After.NEXT if goes_on else After.CLOSE
        except (UpstreamLost, UpstreamInvalid, OSError):
            if passage.answered:
                return 502, After.CUT
            return 502, self._say(answers.problem(502, "BadGateway", "vLLM broke the connection"), head)
        except asyncio.CancelledError:
            if not self._late:
                raise
            if passage.answered:
                return 408, After.CUT
            text = f"the request took longer than {seconds:g} s"
            return 408, self._say(answers.problem(408, "RequestTimeout", text, close=True), head)

    def _passed(
        self, passage: Passage, head: RequestHead, held: ExitStack, task: asyncio.Task[tuple[int, After]]
    ) -> None:
        """In any case, also when the client left before the task began."""
        self.task = self._passage = None
        code, after = CLIENT_LEFT, After.CUT
        if not task.cancelled():
            if (error := task.exception()) is None:
                code, after = task.result()
            else:
                log.error("a request failed unexpectedly", exc_info=error)  # the edge: a defect is logged and answered
                code = 500
                if not passage.answered:
                    after = self._say(answers.problem(500, "InternalError", "internal error", close=True), head)
        with held:
            passage.end()
            self._replica.metrics.answered("openai", code)
        self._ended(after)

    def _say(self, answer: answers.Answer, head: RequestHead) -> After:
        """An answer of our own."""
        close = answer.close or not head.keep_alive
        if self._transport is not None:
            answer = replace(answer, extra=self._gate.header_lines(head.get(b"x-request-id")))
            self._transport.write(answer.encode(head_only=False, close=close, http_1_0=False))
        return After.CLOSE if close else After.NEXT

    def _ended(self, after: After) -> None:
        self._late = False
        self._stop_timer()
        if self._transport is None:
            return
        if after is After.CUT:
            self._timer = self._loop.call_later(ABORT_SECONDS, self._transport.abort)
        if self._closing or after is not After.NEXT:
            self._transport.close()
            return
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()
        if self._buffer:
            self._next()
        else:
            self._rest()

    def _hand_over(self) -> None:
        """aiohttp's server goes on with this connection, from the first byte that was not passed on."""
        transport, data = self._transport, self._buffer
        self._transport, self._buffer = None, b""
        self._doors.discard(self)
        self._stop_timer()
        assert transport is not None
        protocol = self._long_way()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if self._write_paused:  # the transport says it once
            protocol.pause_writing()
        protocol.data_received(data)

    def _too_late(self) -> None:
        if self.task is not None:
            self._late = True
            self.task.cancel()

    def _rest(self) -> None:
        """Nothing is asked for."""
        if self._transport is not None:
            self._timer = self._loop.call_later(IDLE_SECONDS, self._transport.close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _body_size(head: RequestHead) -> int:
    """Bytes of the body of a request that may be passed on; -1 for any other."""
    if head.method not in _METHODS or head.http_1_0 or any(name in head.by_name for name in _LONG_WAY):
        return -1
    size = int(head.by_name.get(b"content-length", b"0"))
    return size if size <= BODY_BYTES else -1
