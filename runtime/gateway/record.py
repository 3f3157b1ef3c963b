"""What is remembered of a request: the access log, one JSON line each without secrets, and the metrics."""

from __future__ import annotations

import asyncio
import sys
import time
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

import orjson

if TYPE_CHECKING:
    from runtime.gateway.request import Request

SECONDS_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
FLUSH_SECONDS = 0.5
_BUFFERED_LINES = 20_000  # more than this between two flushes are counted, not written


@dataclass(eq=False, slots=True)
class Record:
    """One request. Neither headers nor the query are here: both may hold a token."""

    id: bytes
    started: float
    peer: str
    method: str
    path: str = ""
    service: str = ""
    version: str = ""
    replica: str = ""
    status: int = 0
    error: str = ""
    retries: int = 0
    ttft: float | None = None
    bytes_out: int = 0


class Histogram:
    """Counts by upper bound, and their sum."""

    def __init__(self) -> None:
        self.counts = [0] * (len(SECONDS_BUCKETS) + 1)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        """Count one observation."""
        self.counts[bisect_left(SECONDS_BUCKETS, seconds)] += 1
        self.sum += seconds

    def cumulative(self) -> Iterator[tuple[str, int]]:
        """(upper bound, observations up to it), as Prometheus wants them."""
        total = 0
        for bound, count in zip((*map(str, SECONDS_BUCKETS), "+Inf"), self.counts, strict=True):
            total += count
            yield bound, total


class Records:
    """Counts every request, and writes the log in batches outside the event loop."""

    def __init__(self, *, log: TextIO | None = None, prefix: str = "r", only_errors: bool = False) -> None:
        self.by_code: dict[tuple[str, int], int] = {}
        self.seconds: dict[str, Histogram] = {}
        self.retries = 0
        self._prefix = prefix
        self._number = 0
        self._log = log
        self._only_errors = only_errors
        self._lines: list[bytes] = []
        self._dropped = 0
        self._wall = time.time() - time.monotonic()

    def begin(self, request: Request) -> Record:
        """A record with an id of its own, or the client's `X-Request-Id`."""
        identity = request.head.get(b"x-request-id")
        if identity is None:
            self._number += 1
            identity = f"{self._prefix}-{self._number:x}".encode()
        return Record(identity[:128], request.started, request.client.peer, request.head.method.decode())

    def end(self, record: Record, now: float) -> None:
        """Count a request that has ended, and keep its line for the next flush."""
        key = (record.service, record.status)
        self.by_code[key] = self.by_code.get(key, 0) + 1
        seconds = now - record.started
        if record.service:
            histogram = self.seconds.get(record.service)
            if histogram is None:
                histogram = self.seconds[record.service] = Histogram()
            histogram.add(seconds)
        self.retries += record.retries
        if self._log is None or (self._only_errors and record.status < 400):
            return
        if len(self._lines) >= _BUFFERED_LINES:
            self._dropped += 1
            return
        line: dict[str, object] = {
            "time": round(self._wall + record.started, 3),
            "id": record.id.decode("latin-1"),
            "peer": record.peer,
            "service": record.service,
            "method": record.method,
            "path": record.path,
            "status": record.status,
            "ms": round(seconds * 1000, 3),
            "bytes": record.bytes_out,
        }
        if record.replica:
            line |= {"version": record.version, "replica": record.replica}
        if record.ttft is not None:
            line["ttftMs"] = round(record.ttft * 1000, 3)
        if record.retries:
            line["retries"] = record.retries
        if record.error:
            line["error"] = record.error
        self._lines.append(orjson.dumps(line))

    async def run(self) -> None:
        """Flush until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await asyncio.to_thread(self.flush)

    def flush(self) -> None:
        """Write the lines that are waiting."""
        if self._log is None:
            return
        lines, self._lines = self._lines, []
        dropped, self._dropped = self._dropped, 0
        if dropped:
            lines.append(orjson.dumps({"dropped": dropped}))
        if lines:
            try:
                self._log.write("\n".join(line.decode() for line in lines) + "\n")
                self._log.flush()
            except OSError as error:  # a full disk must not stop the requests
                print(f"access log: {error}", file=sys.stderr)
