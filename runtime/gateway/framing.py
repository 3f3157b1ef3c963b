"""Where does a message body end? Scans raw HTTP/1.1 bytes without copying or re-encoding them (RFC 9112, 6 and 7)."""

from __future__ import annotations

import re
from typing import Protocol

_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")
_TRAILER_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[^\r\n]*\r\n")
_SIZE_START = re.compile(rb"[0-9A-Fa-f]{1,15}[ \t]*(?:;[^\r\n]*)?\r?")
_TRAILER_START = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]*(?::[^\r\n]*)?\r?")
_LINE_LIMIT = 1024  # bytes of one size or trailer line
_TRAILER_LINES_LIMIT = 64


class FramingError(ValueError):
    """The body's framing is not what RFC 9112 allows."""


class Scanner(Protocol):
    """Follows one body through the bytes of a connection."""

    payload: int
    """Bytes of payload seen so far, without the framing."""

    def feed(self, data: bytes) -> int:
        """-1 while the body goes on after `data`, else how many bytes of `data` still belong to it.

        Raises FramingError on bytes that no strict parser accepts. Not called again after the end.
        """


class LengthScanner:
    """A body of a known length, which may be 0: then the end is found by feeding b''."""

    def __init__(self, length: int) -> None:
        self._length = length
        self.payload = 0

    def feed(self, data: bytes) -> int:
        """See Scanner."""
        left = self._length - self.payload
        if len(data) < left:
            self.payload += len(data)
            return -1
        self.payload = self._length
        return left


class CloseScanner:
    """A body that ends when its connection does."""

    def __init__(self) -> None:
        self.payload = 0

    def feed(self, data: bytes) -> int:
        """See Scanner; never finds an end."""
        self.payload += len(data)
        return -1


class ChunkScanner:
    """A chunked body. The usual read, one whole chunk, costs one regular expression and a comparison."""

    def __init__(self) -> None:
        self.payload = 0
        self._skip = 0  # bytes of the current chunk, its final CRLF included, that are still to come
        self._rest = b""  # an unfinished size or trailer line, or the wait for a final CRLF
        self._trailers: int | None = None  # trailer lines seen; None before the last chunk
        self._ended = False

    def feed(self, data: bytes) -> int:
        """See Scanner."""
        kept = len(self._rest)
        buffer = self._rest + data if kept else data
        self._rest = b""
        at, size = 0, len(buffer)
        while at < size:
            if self._skip > 2:
                step = min(self._skip - 2, size - at)
                self.payload += step
                self._skip -= step
                at += step
            elif self._skip:
                if buffer[at] != (13 if self._skip == 2 else 10):
                    raise FramingError("a chunk's data does not end in CRLF")
                self._skip -= 1
                at += 1
            elif self._trailers is not None:
                after = self._trailer(buffer, at)
                if after < 0:
                    break
                at = after
                if self._ended:
                    return at - kept
            else:
                match = _SIZE_LINE.match(buffer, at)
                if match is None:
                    self._keep(buffer, at, _SIZE_START)
                    break
                at = match.end()
                length = int(match[1], 16)
                if length:
                    self._skip = length + 2
                    if size - at >= length + 2:  # the whole chunk is here
                        if buffer[at + length : at + length + 2] != b"\r\n":
                            raise FramingError("a chunk's data does not end in CRLF")
                        self.payload += length
                        self._skip = 0
                        at += length + 2
                else:
                    self._trailers = 0
        return -1

    def _trailer(self, buffer: bytes, at: int) -> int:
        """The offset after one trailer line, -1 when it is unfinished. The empty line ends the body."""
        assert self._trailers is not None
        if buffer.startswith(b"\r\n", at):
            self._ended = True
            return at + 2
        match = _TRAILER_LINE.match(buffer, at)
        if match is None:
            self._keep(buffer, at, _TRAILER_START)
            return -1
        self._trailers += 1
        if self._trailers > _TRAILER_LINES_LIMIT:
            raise FramingError("too many trailers")
        return match.end()

    def _keep(self, buffer: bytes, at: int, start: re.Pattern[bytes]) -> None:
        """Keep an unfinished line for the next bytes; refuse what can never become a good line."""
        line = buffer[at:]
        if len(line) > _LINE_LIMIT or start.fullmatch(line) is None:
            raise FramingError(f"bad chunk size or trailer line {line[:40]!r}")
        self._rest = line


def decode_chunked(raw: bytes) -> bytes:
    """The payload of one whole chunked body that a ChunkScanner has accepted."""
    parts = []
    at = 0
    while match := _SIZE_LINE.match(raw, at):
        length = int(match[1], 16)
        if not length:
            break
        parts.append(raw[match.end() : match.end() + length])
        at = match.end() + length + 2
    return b"".join(parts)
