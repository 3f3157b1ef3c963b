"""Waiting for a condition that other tasks bring about."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

RECHECK_SECONDS = 0.5
"""Some conditions come true by the passing of time alone: a silent gateway, say."""


class Bell:
    """Rung on every change; waiters look again."""

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    async def next(self, seconds: float) -> None:
        """Return at the next ring, or after so many seconds."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        await asyncio.wait([waiter], timeout=max(seconds, 0))
        self._waiters.discard(waiter)

    async def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until the condition holds, at most so many seconds; False when it does not hold at the end."""
        end = asyncio.get_running_loop().time() + seconds
        while not condition():
            left = end - asyncio.get_running_loop().time()
            if left <= 0:
                return False
            await self.next(min(left, RECHECK_SECONDS))
        return True
