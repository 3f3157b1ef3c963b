"""One replica's health as seen from outside: its status, asked over its unix socket again and again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import aiohttp
from pydantic import ValidationError

from runtime.contract.names import STATUS_PATH
from runtime.contract.phases import Phase
from runtime.contract.replica import ReplicaStatus

STARTING_SECONDS = 0.1
READY_SECONDS = 1.0
TIMEOUT_SECONDS = 10.0
"""A replica whose cores are all busy answers late, not never."""
LAST_ANSWER_SECONDS = 0.5
MISSES = 3
"""So many unanswered questions in a row end a replica that had been ready."""


class Probe:
    """Asks one replica. `status` is its last answer; `changed` is called when something that matters is different."""

    def __init__(self, socket: str, now: Callable[[], float], changed: Callable[[], None]) -> None:
        self._socket, self._now, self._changed = socket, now, changed
        self._task: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[ReplicaStatus | None] | None = None
        self.misses = 0
        self._failed_at: float | None = None
        self.asked = asyncio.Event()  # the first question has an answer, or had none
        self.status: ReplicaStatus | None = None
        self.ready_since: float | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def last_answer(self) -> None:
        """The process has ended: wait for what it answered before, then ask no more."""
        if self._asking is not None:
            await asyncio.wait([self._asking], timeout=LAST_ANSWER_SECONDS)
            if self._asking.done() and (status := self._asking.result()) is not None:
                self.status = status
        self.stop()

    @property
    def ready(self) -> bool:
        """Its last answer said so, and it still answers."""
        return self.status is not None and self.status.ready and self.misses < MISSES

    def dead(self, failed_grace: float) -> str:
        """Why it must be killed although its process lives; empty when it need not."""
        if self._failed_at is not None and self._now() >= self._failed_at + failed_grace:
            return "it said that it failed and did not exit"
        if self.ready_since is not None and self.misses >= MISSES:
            return f"it did not answer {STATUS_PATH} {MISSES} times in a row"
        return ""

    async def _run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(self._socket), timeout=timeout) as session:
            while True:
                # Without the socket there is nobody to ask yet: an import of torch takes seconds.
                if self.status is not None or os.path.exists(self._socket):
                    self._asking = asyncio.create_task(self._ask(session))
                    self._take(await self._asking)
                self.asked.set()
                await asyncio.sleep(READY_SECONDS if self.ready_since is not None else STARTING_SECONDS)

    async def _ask(self, session: aiohttp.ClientSession) -> ReplicaStatus | None:
        try:
            async with session.get(f"http://replica{STATUS_PATH}") as answer:
                return ReplicaStatus.from_json(await answer.read())
        except (aiohttp.ClientError, TimeoutError, OSError, ValidationError):
            return None

    def _take(self, status: ReplicaStatus | None) -> None:
        before = self._seen()
        if status is None:
            self.misses += 1
        else:
            self.misses, self.status = 0, status
            if status.ready and self.ready_since is None:
                self.ready_since = self._now()
            if status.phase is Phase.FAILED and self._failed_at is None:
                self._failed_at = self._now()
        if before != self._seen():
            self._changed()

    def _seen(self) -> tuple[bool, Phase | None, str]:
        return self.ready, self.status.phase if self.status else None, self.status.detail if self.status else ""
