"""A request's body on its way through: raw, bounded, and kept as long as another replica may need it."""

from __future__ import annotations

import asyncio
from typing import Protocol

from runtime.gateway.framing import ChunkScanner, Scanner, decode_chunked

REPLAY_LIMIT = 1024 * 1024  # bytes of a body that are kept for another replica
BUFFER_LIMIT = 256 * 1024  # bytes that are kept before reading from the client stops


class Upstream(Protocol):
    """The replica's side of a request."""

    def upload(self, data: bytes) -> None:
        """Send request bytes, raw."""

    def flow(self) -> None:
        """The client's readiness to take bytes has changed."""


class Body:
    """A request's body as raw bytes. Kept until a replica takes it, and up to REPLAY_LIMIT in case another one must."""

    def __init__(self, scanner: Scanner | None, limit: int) -> None:
        self._scanner = scanner
        self.chunked = isinstance(scanner, ChunkScanner)
        self.complete = scanner is None
        self.limit = limit  # of the payload, in bytes
        self.kept: list[bytes] = []
        self.kept_size = 0
        self.keep_all = False  # the signed form needs all of it
        self.replayable = True
        self.upstream: Upstream | None = None
        self.whole: asyncio.Future[None] | None = None

    @property
    def over_limit(self) -> bool:
        """Whether more payload has come than the limit allows."""
        return self._scanner is not None and self._scanner.payload > self.limit

    def feed(self, data: bytes) -> bytes | None:
        """Take bytes. None while the body goes on, else what follows it. Raises FramingError."""
        assert self._scanner is not None
        end = self._scanner.feed(data)
        rest = None
        if end >= 0:
            data, rest = data[:end], data[end:]
            self.complete = True
        if self.upstream is not None:
            self.upstream.upload(data)
        if self.replayable:
            self.kept.append(data)
            self.kept_size += len(data)
            if self.upstream is not None and self.kept_size > REPLAY_LIMIT and not self.keep_all:
                self._drop()
        if self.complete and self.whole is not None and not self.whole.done():
            self.whole.set_result(None)
        return rest

    def attach(self, upstream: Upstream) -> bytes:
        """From now on bytes go to `upstream`; returns those that have come so far."""
        assert self.replayable
        self.upstream = upstream
        raw = b"".join(self.kept)
        self.kept = [raw] if raw else []
        if self.kept_size > REPLAY_LIMIT:
            self._drop()
        return raw

    async def read_whole(self) -> bytes:
        """Wait for the whole body and return its payload."""
        self.keep_all = True
        if not self.complete:
            self.whole = asyncio.get_running_loop().create_future()
            await self.whole
        raw = b"".join(self.kept)
        self.kept = [raw] if raw else []
        self.keep_all = False
        return decode_chunked(raw) if self.chunked else raw

    @property
    def full(self) -> bool:
        """Whether no more should be read for now."""
        return self.upstream is None and not self.keep_all and self.kept_size > BUFFER_LIMIT

    def _drop(self) -> None:
        self.replayable = False
        self.kept = []
