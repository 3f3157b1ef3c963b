"""May a request wait for a replica, and in which order do the waiting ones go?"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

HOLD_CAP = 1024
"""Requests that one service may hold at once; more are answered 503 at once."""

Granted = TypeVar("Granted")


def may_hold(*, stopped: bool, hold_seconds: float, held: int, cap: int = HOLD_CAP) -> bool:
    """Whether a request without a ready replica waits. Pure; the first rule that matches wins.

    1. The service is stopped: no.
    2. `holdSeconds` is 0: no.
    3. As many as the cap wait already: no.
    4. Otherwise: yes.
    """
    return not stopped and hold_seconds > 0 and held < cap


class HoldQueue(Generic[Granted]):
    """First come, first served. A waiter that is cancelled after its grant must give it back itself."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[Granted]] = deque()

    def __len__(self) -> int:
        return sum(1 for future in self._waiting if not future.done())

    def __bool__(self) -> bool:
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft()
        return bool(self._waiting)

    def join(self) -> asyncio.Future[Granted]:
        """A place at the end of the queue."""
        future: asyncio.Future[Granted] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        return future

    def grant(self, value: Granted) -> None:
        """Give `value` to the first who waits. Only while the queue is not empty."""
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(value)
                return
        raise LookupError("nobody waits")

    def refuse(self, error: Exception) -> None:
        """Everyone who waits gets `error`."""
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_exception(error)
