"""Where a body ends, byte by byte."""

from __future__ import annotations

import pytest

from runtime.gateway.framing import ChunkScanner, CloseScanner, FramingError, LengthScanner, decode_chunked

GOOD = [
    (b"0\r\n\r\n", b""),
    (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    (b"5;name=value\r\nhello\r\n00\r\n\r\n", b"hello"),
    (b"A \r\n0123456789\r\n1\r\n\r\r\n0\r\n\r\n", b"0123456789\r"),
    (b"3\r\n0\r\n\r\n4\r\n\r\n\r\n\r\n0\r\n\r\n", b"0\r\n\r\n\r\n"),
    (b"2\r\nhi\r\n0\r\nX-Sum: 1\r\nY: \r\n\r\n", b"hi"),
]


@pytest.mark.parametrize(("raw", "payload"), GOOD)
def test_a_chunked_body_ends_at_the_same_byte_however_it_is_split(raw: bytes, payload: bytes) -> None:
    for width in range(1, len(raw) + 8):
        scanner = ChunkScanner()
        data = raw + b"GET / next"
        at = 0
        while True:
            end = scanner.feed(data[at : at + width])
            if end >= 0:
                break
            at += width
        assert at + end == len(raw), width
        assert scanner.payload == len(payload)
    assert decode_chunked(raw) == payload


@pytest.mark.parametrize("width", [1, 2, 100])
@pytest.mark.parametrize(
    "raw",
    [
        b"\r\n",
        b"x\r\n",
        b"-1\r\n",
        b"+1\r\na\r\n",
        b"0x1\r\na\r\n",
        b"1_0\r\n",
        b" 1\r\na\r\n",
        b"1\na\r\n",
        b"1;a\nb\r\n",
        b"1\r\nab\r\n",
        b"1\r\na\n\n",
        b"1\r\na\rb",
        b"1111111111111111\r\n",
        b"0\r\nbad trailer\r\n\r\n",
        b"0\r\n\n",
        b"0\r\n: x\r\n\r\n",
        b"1;" + b"a" * 2000,
        b"0\r\n" + b"a: b\r\n" * 70,
    ],
)
def test_a_chunked_body_with_bad_framing_is_refused_and_never_ends(raw: bytes, width: int) -> None:
    scanner = ChunkScanner()
    with pytest.raises(FramingError):
        for at in range(0, len(raw), width):
            assert scanner.feed(raw[at : at + width]) == -1


def test_a_body_of_known_length_ends_after_its_last_byte() -> None:
    scanner = LengthScanner(5)
    assert [scanner.feed(b"abc"), scanner.feed(b"de next")] == [-1, 2]
    assert scanner.payload == 5
    assert LengthScanner(0).feed(b"next") == 0


def test_a_body_that_ends_with_its_connection_has_no_end_in_its_bytes() -> None:
    scanner = CloseScanner()
    assert scanner.feed(b"abc") == -1
    assert scanner.payload == 3
