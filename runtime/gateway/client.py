"""Connections from clients: strict parsing, pipelining, uploads with backpressure, answers, tunnels, clean closes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from runtime.gateway.answers import Answer, problem
from runtime.gateway.body import BUFFER_LIMIT, Body, Upstream
from runtime.gateway.framing import FramingError
from runtime.gateway.heads import HEAD_LIMIT, BadHead, parse_request, request_scanner
from runtime.gateway.request import Abort, Request

HEAD_SECONDS = 10.0  # from a request's first byte to the end of its head
BODY_SECONDS = 30.0  # without a byte of a body that is expected
IDLE_SECONDS = 75.0  # of a kept connection between requests
STALL_SECONDS = 60.0  # a client that takes no byte of its answer
DRAIN_SECONDS = 1.0  # for one more request on an idle connection, after SIGTERM
LINGER_SECONDS = 1.0  # for a client to read an answer that came before its body was read
_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The clocks of one client connection, in seconds."""

    head: float = HEAD_SECONDS
    body: float = BODY_SECONDS
    idle: float = IDLE_SECONDS
    stall: float = STALL_SECONDS
    linger: float = LINGER_SECONDS
    drain: float = DRAIN_SECONDS


class ClientConnection(asyncio.Protocol):
    """One client. Requests are handled one after the other; what a client sends ahead waits."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        handle: Callable[[Request], asyncio.Task[None]],
        lost: Callable[[ClientConnection], None],
        *,
        timeouts: Timeouts,
        body_limit: int,
    ) -> None:
        self._loop = loop
        self._handle = handle
        self._lost = lost
        self._timeouts = timeouts
        self._body_limit = body_limit
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._request: Request | None = None
        self._task: asyncio.Task[None] | None = None
        self._upstream: Upstream | None = None
        self._tunnel = False
        self._lingering = False
        self._closing = False
        self._reading_paused = False
        self._upload_paused = False
        self._timer: asyncio.TimerHandle | None = None  # head, body, idle, linger: one at a time
        self._stall: asyncio.TimerHandle | None = None
        self._body_at = 0.0
        self.write_paused = False
        self.draining = False
        self.peer = ""
        self.loopback = False

    # For the request's task ------------------------------------------------------------------------------------------

    @property
    def gone(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._transport is None or self._transport.is_closing()

    def write(self, data: bytes) -> None:
        """Send bytes of an answer."""
        if self._transport is not None:
            self._transport.write(data)

    def send(self, request: Request, answer: Answer) -> None:
        """Send an answer of our own; it closes the connection when it says so or when the body was not read."""
        close = self.must_close(request) or answer.close
        request.answered = True
        self.write(answer.encode(head_only=request.head.method == b"HEAD", close=close, http_1_0=request.head.http_1_0))
        if close:
            self._closing = True

    def must_close(self, request: Request) -> bool:
        """Whether the connection cannot be used after this request."""
        return not request.head.keep_alive or not request.body.complete or self.draining

    def close_after(self) -> None:
        """Close when this request is done."""
        self._closing = True

    def abort(self) -> None:
        """Cut the connection: the client must not take what it got for a whole answer."""
        if self._transport is not None:
            self._transport.abort()

    def attach(self, upstream: Upstream | None) -> None:
        """Whose bytes are being written: told when the client takes no more, and when it does again."""
        self._upstream = upstream

    def open_tunnel(self) -> None:
        """From now on the client's bytes go to the replica as they are."""
        self._tunnel = True
        self._stop_timer()
        early, self._buffer = self._buffer, b""
        if early and self._upstream is not None:
            self._upstream.upload(early)
        self._flow()

    def continue_body(self, request: Request) -> None:
        """Tell a client that waits for it to send its body."""
        if request.head.get(b"expect") is not None and not request.body.complete and not request.head.http_1_0:
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def pause_upload(self) -> None:
        """The replica takes no bytes for now."""
        self._upload_paused = True
        self._flow()

    def resume_upload(self) -> None:
        """The replica takes bytes again."""
        self._upload_paused = False
        self._body_at = self._loop.time()
        self._flow()

    def flow(self) -> None:
        """Read from the client only what can be kept."""
        self._flow()

    def cancel_task(self) -> None:
        """Cancel the running request's task."""
        if self._task is not None:
            self._task.cancel()

    def request_done(self) -> None:
        """The request's task has ended: on to the next one."""
        request, self._request, self._task, self._upstream = self._request, None, None, None
        self._upload_paused = False
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        if self.gone or request is None:
            return
        if self._closing or self._tunnel or not request.body.complete:
            self._close_gently(request)
            return
        self._flow()
        self._next()

    def drain(self) -> None:
        """One more request at the most: the next answer closes the connection.

        An idle one stays for a moment, for its next request may be on the way already.
        """
        self.draining = True
        if self._request is None and not self._lingering:
            self._start_timer(self._timeouts.drain, self._close)

    def shut(self) -> None:
        """The drain's time is over."""
        if self._request is not None:
            self._request.cancel(Abort.SHUTDOWN)
        else:
            self._close()

    # asyncio.Protocol ------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        peer = self._transport.get_extra_info("peername")
        self.peer = peer[0].removeprefix("::ffff:") if isinstance(peer, tuple) else "unix"
        self.loopback = self.peer in ("127.0.0.1", "::1", "unix")
        self._start_timer(self._timeouts.head, self._close)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._tunnel:
            if self._upstream is not None:
                self._upstream.upload(data)
        elif self._lingering:
            return
        elif self._request is None:
            first = not self._buffer
            self._buffer = self._buffer + data if self._buffer else data
            self._next(first=first)
        elif self._request.body.complete:
            self._buffer += data
            self._flow()
        else:
            self._feed_body(self._request, data)

    def eof_received(self) -> bool:
        """See asyncio.Protocol. A client that ends its side has gone: there is no other sign of it in mid-stream."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._transport = None
        self._lost(self)
        self._stop_timer()
        if self._stall is not None:
            self._stall.cancel()
        if self._request is not None:
            self._request.cancel(Abort.GONE)

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        self.write_paused = True
        if self._request is not None and self._stall is None:
            self._stall = self._loop.call_later(self._timeouts.stall, self._stalled)
        if self._upstream is not None:
            self._upstream.flow()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self.write_paused = False
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        if self._upstream is not None:
            self._upstream.flow()

    # Inside ----------------------------------------------------------------------------------------------------------

    def _next(self, *, first: bool = True) -> None:
        """Begin the next request if its head is there."""
        self._buffer = self._buffer.lstrip(b"\r\n") if self._buffer[:1] in (b"\r", b"\n") else self._buffer
        if not self._buffer:
            self._start_timer(self._timeouts.drain if self.draining else self._timeouts.idle, self._close)
            return
        end = self._buffer.find(_HEAD_END)
        if end < 0 and len(self._buffer) <= HEAD_LIMIT:
            if first:
                self._start_timer(self._timeouts.head, self._head_over)
            return
        if end < 0 or end > HEAD_LIMIT:
            self._refuse(problem(431, "RequestHeaderFieldsTooLarge", f"the request's head exceeds {HEAD_LIMIT} bytes"))
            return
        raw, self._buffer = self._buffer[: end + 4], self._buffer[end + 4 :]
        try:
            head = parse_request(raw)
            body = Body(request_scanner(head), self._body_limit)
            expect = head.get(b"expect")
            if expect is not None and expect.strip().lower() != b"100-continue":
                raise BadHead(417, "the only expectation understood is 100-continue")
        except BadHead as error:
            self._refuse(problem(error.status, _CODES.get(error.status, "BadRequest"), str(error)))
            return
        self._stop_timer()
        request = self._request = Request(head, body, self, time.monotonic())
        self._task = self._handle(request)
        if not body.complete:
            self._body_at = self._loop.time()
            self._start_timer(self._timeouts.body, self._body_late)
            if self._buffer:
                data, self._buffer = self._buffer, b""
                self._feed_body(request, data)
        elif self._buffer:
            self._flow()

    def _feed_body(self, request: Request, data: bytes) -> None:
        self._body_at = self._loop.time()
        try:
            rest = request.body.feed(data)
        except FramingError:
            request.cancel(Abort.BAD_BODY)
            return
        if request.body.over_limit:
            request.cancel(Abort.TOO_LARGE)
        elif rest is not None:
            self._stop_timer()
            self._buffer = rest
        self._flow()

    def _flow(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        request = self._request
        if self._tunnel:
            paused = self._upload_paused
        elif request is None or self._lingering:
            paused = False
        elif request.body.complete:
            paused = len(self._buffer) > BUFFER_LIMIT
        else:
            paused = self._upload_paused or request.body.full
        if paused != self._reading_paused:
            self._reading_paused = paused
            if paused:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _refuse(self, answer: Answer) -> None:
        """Answer what is not even a request, and close."""
        self.write(answer.encode(head_only=False, close=True, http_1_0=False))
        self._buffer = b""
        self._linger()

    def _close_gently(self, request: Request) -> None:
        if request.body.complete:
            self._close()
        else:
            self._linger()

    def _linger(self) -> None:
        """Closing with unread bytes would reset the connection, and the client would lose its answer."""
        if self._transport is None:
            return
        self._lingering = True
        self._flow()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._start_timer(self._timeouts.linger, self._close)

    def _close(self) -> None:
        self._stop_timer()
        if self._transport is not None:
            self._transport.close()
            if self.write_paused:
                self._timer = self._loop.call_later(self._timeouts.stall, self.abort)

    def _head_over(self) -> None:
        self._refuse(problem(408, "RequestTimeout", f"no whole head within {self._timeouts.head:g} s"))

    def _body_late(self) -> None:
        """Runs once per body time-out, not once per byte."""
        request = self._request
        if request is None or request.body.complete:
            return
        late = self._body_at + self._timeouts.body
        if self._reading_paused:  # it is us who do not read
            late = self._loop.time() + self._timeouts.body
        if late > self._loop.time():
            self._timer = self._loop.call_at(late, self._body_late)
        else:
            request.cancel(Abort.BODY_TIMEOUT)

    def _stalled(self) -> None:
        self._stall = None
        if self._request is not None:
            self._request.cancel(Abort.STALLED)
        else:
            self.abort()

    def _start_timer(self, seconds: float, action: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = self._loop.call_later(seconds, action)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


_CODES = {417: "ExpectationFailed", 501: "NotImplemented", 505: "HttpVersionNotSupported"}
