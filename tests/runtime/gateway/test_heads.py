"""Heads: what is refused, what is forwarded."""

from __future__ import annotations

import pytest

from runtime.gateway.framing import ChunkScanner, CloseScanner, LengthScanner
from runtime.gateway.heads import (
    BadHead,
    forward_request,
    forward_response,
    parse_request,
    parse_response,
    request_scanner,
    response_scanner,
)

HOST = b"Host: h\r\n"


def request_of(*lines: bytes, first: bytes = b"POST /x HTTP/1.1") -> bytes:
    return first + b"\r\n" + HOST + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (request_of(b"Content-Length: 3", b"Transfer-Encoding: chunked"), 400),
        (request_of(b"Transfer-Encoding: chunked", b"Content-Length: 3"), 400),
        (request_of(b"Content-Length: 3", b"Content-Length: 4"), 400),
        (request_of(b"Content-Length: 3", b"Content-Length: 3"), 400),
        (request_of(b"Content-Length: -3"), 400),
        (request_of(b"Content-Length: 0x3"), 400),
        (request_of(b"Content-Length : 3"), 400),
        (request_of(b"Transfer-Encoding: gzip, chunked"), 501),
        (request_of(b"Transfer-Encoding: chunked, gzip"), 400),
        (request_of(b"Transfer-Encoding: xchunked"), 400),
        (request_of(b"Transfer-Encoding: chunked", first=b"POST /x HTTP/1.0"), 400),
        (request_of(b"A: b", b" folded"), 400),
        (request_of(b"A: b\x00c"), 400),
        (request_of(b": b"), 400),
        (request_of(b"Host: other"), 400),
        (request_of(b"Authorization: a", b"authorization: b"), 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: h\r\n\r\n", 400),
        (b"GET /\xe4\xbd\xa0 HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505),
        (b"GET /\r\n\r\n", 505),
        (b"BREW / HTTP/1.1\r\nHost: h\r\n\r\n", 501),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 501),
    ],
)
def test_a_head_that_could_be_read_in_two_ways_is_refused(raw: bytes, status: int) -> None:
    with pytest.raises(BadHead) as refused:
        request_scanner(parse_request(raw))
    assert refused.value.status == status


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        ((), None),
        ((b"Content-Length: 0",), None),
        ((b"Content-Length: 3",), LengthScanner),
        ((b"Transfer-Encoding: Chunked",), ChunkScanner),
    ],
)
def test_a_request_body_is_framed_by_length_or_chunks(lines: tuple[bytes, ...], kind: type | None) -> None:
    scanner = request_scanner(parse_request(request_of(*lines)))
    assert scanner is None if kind is None else isinstance(scanner, kind)


@pytest.mark.parametrize(
    ("raw", "method", "kind"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", b"GET", LengthScanner),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", b"HEAD", None),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"GET", None),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", b"GET", None),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"GET", ChunkScanner),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"GET", CloseScanner),
        (b"HTTP/1.0 200 OK\r\n\r\n", b"GET", CloseScanner),
    ],
)
def test_a_response_body_is_framed_by_length_chunks_or_the_end(raw: bytes, method: bytes, kind: type | None) -> None:
    scanner = response_scanner(parse_response(raw), method)
    assert scanner is None if kind is None else isinstance(scanner, kind)


@pytest.mark.parametrize(
    ("first", "lines", "kept"),
    [
        (b"GET / HTTP/1.1", (), True),
        (b"GET / HTTP/1.1", (b"Connection: Close",), False),
        (b"GET / HTTP/1.1", (b"Connection: x", b"Connection: close"), False),
        (b"GET / HTTP/1.0", (), False),
        (b"GET / HTTP/1.0", (b"Connection: Keep-Alive",), True),
    ],
)
def test_a_connection_is_kept_as_the_client_asks(first: bytes, lines: tuple[bytes, ...], kept: bool) -> None:
    assert parse_request(request_of(*lines, first=first)).keep_alive is kept


def test_only_hop_by_hop_headers_are_taken_away() -> None:
    head = parse_request(
        request_of(
            b"Authorization: secret",
            b"Connection: keep-alive, X-Drop, Content-Length, Authorization",
            b"Keep-Alive: 5",
            b"X-Drop: 1",
            b"X-Keep: \xc3\xa9",
            b"Upgrade: h2c",
            b"Expect: 100-continue",
            b"Content-Length: 3",
        )
    )
    assert forward_request(head, b"/y?z", b"id-1") == (
        b"POST /y?z HTTP/1.1\r\nHost: h\r\nAuthorization: secret\r\nX-Keep: \xc3\xa9\r\nContent-Length: 3\r\n"
        b"X-Request-Id: id-1\r\n\r\n"
    )
    assert not head.websocket


def test_a_websocket_handshake_keeps_its_upgrade() -> None:
    head = parse_request(request_of(b"Connection: keep-alive, Upgrade", b"Upgrade: WebSocket", first=b"GET / HTTP/1.1"))
    assert head.websocket
    assert forward_request(head, b"/", b"i").endswith(b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")


def test_a_response_head_is_forwarded_with_our_own_connection_header() -> None:
    head = parse_response(
        b"HTTP/1.1 450 Queue Full\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nX-A: 1\r\nContent-Length: 0\r\n\r\n"
    )
    assert forward_response(head, connection=b"close", extra=b"X-B: 2\r\n") == (
        b"HTTP/1.1 450 Queue Full\r\nX-A: 1\r\nContent-Length: 0\r\nX-B: 2\r\nConnection: close\r\n\r\n"
    )


def test_a_client_cannot_claim_to_be_a_gateway_and_ours_is_added() -> None:
    head = parse_request(b"GET / HTTP/1.1\r\nHost: t\r\nx-INFERFORM-gateway: mine\r\nX-Other: 1\r\n\r\n")
    assert b"mine" not in forward_request(head, b"/", b"id")
    forwarded = forward_request(head, b"/", b"id", b"X-Inferform-Gateway: ours\r\n")
    assert forwarded.endswith(b"X-Other: 1\r\nX-Request-Id: id\r\nX-Inferform-Gateway: ours\r\n\r\n")
