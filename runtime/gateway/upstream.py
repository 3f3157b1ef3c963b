"""A connection to a replica: forwards a response's raw bytes to the client as they arrive."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol, cast

from runtime.gateway.framing import CloseScanner, FramingError, Scanner
from runtime.gateway.heads import HEAD_LIMIT, BadHead, ResponseHead, parse_response, response_scanner

_EARLY_LIMIT = 256 * 1024
_HEAD_END = b"\r\n\r\n"


class UpstreamLost(Exception):
    """The connection to the replica broke. `answered`: after the first byte of a response had come."""

    def __init__(self, text: str, *, answered: bool) -> None:
        super().__init__(text)
        self.answered = answered


class UpstreamInvalid(Exception):
    """The replica sent what is not HTTP/1.1."""


class Sink(Protocol):
    """The client's side of a response."""

    write_paused: bool

    def write(self, data: bytes) -> None:
        """Send bytes to the client."""

    def resume_upload(self) -> None:
        """The replica takes request bytes again."""

    def pause_upload(self) -> None:
        """The replica takes no request bytes for now."""


class ReplicaConnection(asyncio.Protocol):
    """One connection to a replica, used by one request at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._method = b""
        self._buffer = b""
        self._head: asyncio.Future[ResponseHead] | None = None
        self._done: asyncio.Future[None] | None = None
        self._scanner: Scanner | None = None
        self._sink: Sink | None = None
        self._streaming = False
        self._reading_paused = False
        self._answered = False
        self._unwanted = False  # given up, perhaps while connecting
        self._keep = False  # the replica will keep the connection
        self._lost: tuple[Exception | None] | None = None  # the connection ended, with this error if any
        self.reused = False
        self.reusable = False  # the response has ended where its framing says, and the replica keeps the connection
        self.until_close = False  # the response's end is the connection's
        self.is_tunnel = False
        self.idle_since = 0.0
        self.first_byte_at: float | None = None
        self._payload = 0  # of a body that has ended

    # One exchange ----------------------------------------------------------------------------------------------------

    @property
    def open(self) -> bool:
        """Whether the connection can still be used."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def payload(self) -> int:
        """Bytes of the answer's body so far, without framing; until the connection is given back."""
        return self._scanner.payload if self._scanner is not None else self._payload

    def begin(self, method: bytes, head: bytes, sink: Sink) -> asyncio.Future[ResponseHead]:
        """Send a request's head, perhaps with the beginning of its body. The future gives the response's head.

        It fails with UpstreamLost and UpstreamInvalid.
        """
        self._method, self._sink = method, sink
        self._head = self._loop.create_future()
        self._done = self._loop.create_future()
        self._answered = self._keep = self.reusable = self.is_tunnel = False
        self.first_byte_at = None
        self._payload = 0
        if self._transport is None:  # lost between the connection and the first request on it
            self._head.set_exception(UpstreamLost("closed before the request was sent", answered=False))
        else:
            self._transport.write(head)
        return self._head

    def upload(self, data: bytes) -> None:
        """Send more of the request, raw."""
        if self.open:
            assert self._transport is not None
            self._transport.write(data)

    def stream(self) -> asyncio.Future[None]:
        """Forward the response's body to the sink, framing included. The future is done when the body has ended.

        It fails with UpstreamLost and UpstreamInvalid; nothing but whole, valid bytes of this response is forwarded.
        """
        assert self._done is not None
        self._streaming = True
        if self._scanner is None:
            self._end(b"")
        else:
            self._forward_early()
        return self._done

    def tunnel(self) -> asyncio.Future[None]:
        """After a 101: forward everything until either side closes."""
        assert self._done is not None and self._sink is not None
        self.is_tunnel = self._streaming = True
        self._scanner = CloseScanner()
        self._forward_early()
        return self._done

    def flow(self) -> None:
        """Read from the replica only while the client takes bytes."""
        if self._transport is None or self._sink is None:
            return
        paused = self._sink.write_paused or (not self._streaming and len(self._buffer) > _EARLY_LIMIT)
        if paused != self._reading_paused and not self._transport.is_closing():
            self._reading_paused = paused
            if paused:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def detach(self) -> None:
        """The exchange is over: nothing goes to its client any more."""
        self._sink = None
        self._streaming = False
        self._scanner = None
        for future in (self._head, self._done):
            if future is not None:
                if not future.done():
                    future.cancel()
                elif not future.cancelled():
                    future.exception()  # seen
        self._head = self._done = None
        if self._reading_paused and self.open:
            assert self._transport is not None
            self._transport.resume_reading()
        self._reading_paused = False

    def abort(self) -> None:
        """Close at once; a replica sees that its client has gone."""
        self.reusable = False
        self._unwanted = True
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol ------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        if self._unwanted:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol. The hot path: one scan, one write per read."""
        if self._streaming:
            self._body(data)
        elif self._head is None:
            self.abort()  # bytes that nobody asked for
        else:
            self._answered = True
            self._buffer += data
            if self._head.done():
                self.flow()
            else:
                self._parse_head()

    def eof_received(self) -> bool:
        """See asyncio.Protocol."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._transport = None
        self.reusable = False
        if self._head is not None and not self._head.done():
            text = str(error) if error else "closed before the response's head was complete"
            self._head.set_exception(UpstreamLost(text, answered=self._answered))
        self._lost = (error,)
        if self._streaming:
            self._lost_in_body(error)

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        if self._sink is not None:
            self._sink.pause_upload()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        if self._sink is not None:
            self._sink.resume_upload()

    # Inside ----------------------------------------------------------------------------------------------------------

    def _forward_early(self) -> None:
        """What came with the head, or between the head and now; perhaps the whole body and the connection's end."""
        early, self._buffer = self._buffer, b""
        if early:
            self._body(early)
        if self._lost is not None:
            self._lost_in_body(self._lost[0])
        self.flow()

    def _lost_in_body(self, error: Exception | None) -> None:
        if self._done is None or self._done.done():
            return
        if isinstance(self._scanner, CloseScanner) and error is None:
            self._end(b"")
        else:
            text = str(error) if error else "closed before the response was complete"
            self._done.set_exception(UpstreamLost(text, answered=True))

    def _body(self, data: bytes) -> None:
        scanner, sink = self._scanner, self._sink
        if scanner is None or sink is None:
            self.abort()
            return
        if self.first_byte_at is None:
            self.first_byte_at = time.monotonic()
        try:
            end = scanner.feed(data)
        except FramingError as error:
            self._fail(UpstreamInvalid(str(error)))
            return
        if end < 0:
            sink.write(data)
        else:
            self._end(data[:end], extra=end < len(data))

    def _end(self, last: bytes, *, extra: bool = False) -> None:
        """The body has ended. Bytes after it belong to no request: they are dropped with the connection."""
        if last and self._sink is not None:
            self._sink.write(last)
        if self._scanner is not None:
            self._payload = self._scanner.payload
            self._scanner = None
        self.reusable = self._keep and not extra and not self._buffer
        self._streaming = False
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    def _parse_head(self) -> None:
        assert self._head is not None
        end = self._buffer.find(_HEAD_END)
        if end < 0:
            if len(self._buffer) > HEAD_LIMIT:
                self._fail(UpstreamInvalid("the response's head is too large"))
            return
        raw, rest = self._buffer[: end + 4], self._buffer[end + 4 :]
        try:
            head = parse_response(raw)
            if 100 <= head.status < 200 and head.status != 101:
                self._buffer = rest  # an interim response: the final one follows
                if rest:
                    self._parse_head()
                return
            self._scanner = response_scanner(head, self._method)
        except BadHead as error:
            self._fail(UpstreamInvalid(str(error)))
            return
        self._buffer = rest
        self.until_close = isinstance(self._scanner, CloseScanner)
        self._keep = head.keep_alive and head.status != 101 and not self.until_close
        self._head.set_result(head)

    def _fail(self, error: Exception) -> None:
        for future in (self._head, self._done):
            if future is not None and not future.done():
                future.set_exception(error)
                break
        self.abort()
