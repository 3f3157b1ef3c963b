"""Message heads: strictly parsed by llhttp (httptools), forwarded as they came but for the hop-by-hop headers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, overload

import httptools

from runtime.contract.cluster import GATEWAY_HEADER
from runtime.gateway.framing import ChunkScanner, CloseScanner, LengthScanner, Scanner

HEAD_LIMIT = 32 * 1024
"""Bytes of one request or response head."""

_HOP_BY_HOP = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"te", b"upgrade", b"proxy-authenticate"))
_GATEWAY = GATEWAY_HEADER.lower().encode()  # ours alone: replicas trust who shows the key in it
_NOT_FORWARDED = _HOP_BY_HOP | {b"expect", b"proxy-authorization", _GATEWAY}  # the expectation has been answered here
_END_TO_END = frozenset((b"content-length", b"transfer-encoding", b"host", b"authorization", b"content-type"))
_ONCE = (b"host", b"authorization")


class BadHead(ValueError):
    """A head that is refused. `status` is the answer for a request; a response with such a head is a 502."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class _Collector:
    """llhttp's callbacks. There is none for bodies: only whole heads are fed."""

    __slots__ = ("complete", "pairs", "reason", "target")

    def __init__(self) -> None:
        self.target = b""
        self.reason = b""
        self.pairs: list[tuple[bytes, bytes]] = []
        self.complete = False

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_status(self, reason: bytes) -> None:
        self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self.pairs.append((name, value))

    def on_headers_complete(self) -> None:
        self.complete = True


class HeaderText:
    """Headers as text, decoded when they are asked for: usually one of them is."""

    __slots__ = ("_by_name",)

    def __init__(self, by_name: Mapping[bytes, bytes]) -> None:
        self._by_name = by_name

    @overload
    def get(self, name: str, /) -> str | None: ...

    @overload
    def get(self, name: str, default: str, /) -> str: ...

    def get(self, name: str, default: str | None = None, /) -> str | None:
        """The first value of a header; `name` in any case."""
        value = self._by_name.get(name.lower().encode())
        return default if value is None else value.decode("utf-8", "surrogateescape")


@dataclass(slots=True)
class RequestHead:
    """A request's first line and headers as they were sent."""

    method: bytes
    target: bytes
    http_1_0: bool
    pairs: list[tuple[bytes, bytes]]
    by_name: dict[bytes, bytes]  # lower-case name -> value; the first one of several
    keep_alive: bool
    websocket: bool
    connection_names: frozenset[bytes]  # headers that `Connection` names

    def get(self, name: bytes) -> bytes | None:
        """The first value of a header; `name` in lower case."""
        return self.by_name.get(name)

    @property
    def text(self) -> HeaderText:
        """The headers as text, for the token check."""
        return HeaderText(self.by_name)


@dataclass(slots=True)
class ResponseHead:
    """A response's status line and headers as the replica sent them."""

    status: int
    reason: bytes
    http_1_0: bool
    pairs: list[tuple[bytes, bytes]]
    by_name: dict[bytes, bytes]
    keep_alive: bool
    connection_names: frozenset[bytes]


def parse_request(raw: bytes) -> RequestHead:
    """Parse one head that ends in its empty line. Raises BadHead."""
    collector = _Collector()
    parser = httptools.HttpRequestParser(collector)
    _feed(parser, raw, collector)
    version = parser.get_http_version()
    if version not in ("1.1", "1.0"):
        raise BadHead(505, f"HTTP version {version} is not supported; use HTTP/1.1")
    http_1_0 = version == "1.0"
    pairs = collector.pairs
    by_name = _by_name(pairs)
    if len(by_name) != len(pairs):
        for once in _ONCE:
            if sum(1 for name, _ in pairs if name.lower() == once) > 1:
                raise BadHead(400, f"more than one {once.decode().title()} header")
    if not http_1_0 and b"host" not in by_name:
        raise BadHead(400, "the Host header is missing")
    options = _connection_options(pairs, by_name)
    keep_alive = b"keep-alive" in options if http_1_0 else b"close" not in options
    method = parser.get_method()
    upgrade = by_name.get(b"upgrade")
    websocket = (
        upgrade is not None
        and method == b"GET"
        and not http_1_0
        and b"upgrade" in options
        and upgrade.strip().lower() == b"websocket"
    )
    return RequestHead(method, collector.target, http_1_0, pairs, by_name, keep_alive, websocket, options)


def parse_response(raw: bytes) -> ResponseHead:
    """Parse one head that ends in its empty line. Raises BadHead."""
    collector = _Collector()
    parser = httptools.HttpResponseParser(collector)
    _feed(parser, raw, collector)
    by_name = _by_name(collector.pairs)
    options = _connection_options(collector.pairs, by_name)
    http_1_0 = parser.get_http_version() != "1.1"
    keep_alive = b"keep-alive" in options if http_1_0 else b"close" not in options
    return ResponseHead(
        parser.get_status_code(), collector.reason, http_1_0, collector.pairs, by_name, keep_alive, options
    )


def request_scanner(head: RequestHead) -> Scanner | None:
    """What finds the end of the request's body; None when it has none. Raises BadHead."""
    encoding = head.get(b"transfer-encoding")
    if encoding is not None:
        if head.http_1_0:
            raise BadHead(400, "HTTP/1.0 has no Transfer-Encoding")
        if encoding.strip().lower() != b"chunked":
            raise BadHead(501, "the only Transfer-Encoding understood is chunked")
        return ChunkScanner()
    length = head.get(b"content-length")
    if length is None or not int(length):
        return None
    return LengthScanner(int(length))


def response_scanner(head: ResponseHead, method: bytes) -> Scanner | None:
    """What finds the end of the response's body; None when it has none. Raises BadHead."""
    if method == b"HEAD" or head.status in (204, 304) or head.status < 200:
        return None
    encoding = head.by_name.get(b"transfer-encoding")
    if encoding is not None:
        if head.http_1_0 or encoding.strip().lower() != b"chunked":
            raise BadHead(502, "the replica used a Transfer-Encoding other than chunked")
        return ChunkScanner()
    length = head.by_name.get(b"content-length")
    if length is None:
        return CloseScanner()
    return LengthScanner(int(length)) if int(length) else None


def forward_request(head: RequestHead, origin: bytes, request_id: bytes, extra: bytes = b"") -> bytes:
    """The head that a replica gets: `origin` as target, the client's HTTP version, no hop-by-hop headers.

    `extra` are whole header lines to add.
    """
    lines = [head.method, b" ", origin, b" HTTP/1.0\r\n" if head.http_1_0 else b" HTTP/1.1\r\n"]
    drop = _NOT_FORWARDED | head.connection_names if head.connection_names else _NOT_FORWARDED
    for name, value in head.pairs:
        if name.lower() not in drop:
            lines += (name, b": ", value, b"\r\n")
    if b"x-request-id" not in head.by_name:
        lines += (b"X-Request-Id: ", request_id, b"\r\n")
    lines.append(extra)
    lines.append(b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n" if head.websocket else b"\r\n")
    return b"".join(lines)


def forward_response(head: ResponseHead, *, connection: bytes, extra: bytes = b"") -> bytes:
    """The head that the client gets; `connection` is the value of our own Connection header, b"" for none.

    `extra` are whole header lines to add.
    """
    lines = [b"HTTP/1.1 %d " % head.status, head.reason, b"\r\n"]
    drop = _HOP_BY_HOP | head.connection_names if head.connection_names else _HOP_BY_HOP
    for name, value in head.pairs:
        if name.lower() not in drop:
            lines += (name, b": ", value, b"\r\n")
    lines.append(extra)
    if connection:
        lines += (b"Connection: ", connection, b"\r\n")
        if connection == b"Upgrade":
            lines += (b"Upgrade: ", head.by_name.get(b"upgrade", b"websocket"), b"\r\n")
    lines.append(b"\r\n")
    return b"".join(lines)


def _feed(parser: Any, raw: bytes, collector: _Collector) -> None:
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass  # whether to upgrade is decided elsewhere
    except httptools.HttpParserInvalidMethodError as error:
        raise BadHead(501, "the method is not one of HTTP's") from error
    except httptools.HttpParserError as error:
        raise BadHead(400, str(error)) from error
    if not collector.complete:
        raise BadHead(400, "the head is not complete")


def _by_name(pairs: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    return {name.lower(): value for name, value in reversed(pairs)}


def _connection_options(pairs: list[tuple[bytes, bytes]], by_name: dict[bytes, bytes]) -> frozenset[bytes]:
    """What `Connection` lists, in lower case, without the headers that no sender may take away from the message."""
    if b"connection" not in by_name:
        return frozenset()
    values = b",".join(value for name, value in pairs if name.lower() == b"connection").lower()
    return frozenset(option.strip() for option in values.split(b",")) - _END_TO_END
