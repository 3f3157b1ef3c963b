"""A steady load of requests and streams from a thread of its own; it counts every failure and who answered."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import aiohttp


@dataclass
class Verdict:
    """What the load saw."""

    answered: Counter[str] = field(default_factory=Counter)  # by version hash
    texts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    streams: int = 0

    @property
    def requests(self) -> int:
        """How many requests were answered well."""
        return sum(self.answered.values())


class SteadyLoad:
    """`rate` whole requests per second and `streams` streams at a time, until the block ends.

    A failure fails the test at the end of the block, unless `forgive` is set: then the test judges the verdict itself
    (a killed replica breaks the streams that it was serving).
    """

    def __init__(
        self, endpoint: str, service: str, token: str, *, rate: float = 20, streams: int = 2, forgive: bool = False
    ) -> None:
        self._url = f"{endpoint}/api/predict/{service}"
        self._headers = {"Authorization": token}
        self._rate, self._streams, self._forgive = rate, streams, forgive
        self.verdict = Verdict()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> SteadyLoad:
        self._thread.start()
        self.wait_for(5)
        return self

    def __exit__(self, *failure: object) -> None:
        self.wait_for(5)
        self._stop.set()
        self._thread.join(timeout=120)
        assert not self._thread.is_alive(), "a request of the load hangs"
        if failure[0] is None and not self._forgive:
            assert not self.verdict.failures, f"{len(self.verdict.failures)} failed: {self.verdict.failures[:5]}"

    def wait_for(self, more: int, seconds: float = 60) -> None:
        """Until `more` further requests were answered (or failed)."""
        start, deadline = self._count(), time.monotonic() + seconds
        while self._count() < start + more:
            assert time.monotonic() < deadline, f"the load stands still: {self.verdict}"
            time.sleep(0.02)

    def _count(self) -> int:
        return self.verdict.requests + len(self.verdict.failures)

    async def _run(self) -> None:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=110)) as session:
            tasks: set[asyncio.Task[None]] = set()
            streams = [asyncio.create_task(self._stream_forever(session)) for _ in range(self._streams)]
            while not self._stop.is_set():
                task = asyncio.create_task(self._one(session))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                await asyncio.sleep(1 / self._rate)
            await asyncio.gather(*tasks, *streams)

    async def _stream_forever(self, session: aiohttp.ClientSession) -> None:
        while not self._stop.is_set():
            await self._one(session, stream=True)
            await asyncio.sleep(0.02)  # a failing server is asked again, not hammered

    async def _one(self, session: aiohttp.ClientSession, *, stream: bool = False) -> None:
        body = {"prompt": "hi", "use_stream_chat": stream}
        try:
            async with session.post(self._url, json=body, headers=self._headers) as reply:
                content = await reply.read()
                if reply.status != 200:
                    self.verdict.failures.append(f"{reply.status} {content[:200]!r}")
                    return
                records = [json.loads(record) for record in content.split(b"\0") if record]
                self.verdict.texts[records[-1]["response"]] += 1
                self.verdict.answered[reply.headers.get("X-Inferform-Version", "?")] += 1
                self.verdict.streams += stream
        except (aiohttp.ClientError, TimeoutError, json.JSONDecodeError) as error:
            self.verdict.failures.append(f"{type(error).__name__} {error} (stream={stream})")
