"""For threads: coroutines run on one event loop, in one daemon thread of the process."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from typing import Any, Self, TypeVar

from runtime.kubeapi.access import Access
from runtime.kubeapi.client import KubeClient

Result = TypeVar("Result")

_starting = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def background_loop() -> asyncio.AbstractEventLoop:
    """The loop of the process's daemon thread; started when it is first asked for."""
    global _loop
    with _starting:
        if _loop is None or _loop.is_closed():
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="kubeapi", daemon=True).start()
        return _loop


class Blocking:
    """A client for threads: `blocking.run(blocking.client.get(PODS, "llm", "a"))`. Any thread may call it.

    Raises what `connect` raises: KubeProblem.
    """

    def __init__(self, connect: Callable[[], Coroutine[Any, Any, Access]]) -> None:
        self.loop = background_loop()
        self.client = KubeClient(self.run(connect()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def run(self, work: Coroutine[Any, Any, Result], *, timeout: float | None = None) -> Result:
        """Run a coroutine and wait for its result; an interrupt, or TimeoutError, cancels it."""
        future = self.submit(work)
        try:
            return future.result(timeout)
        except BaseException:
            future.cancel()
            raise

    def submit(self, work: Coroutine[Any, Any, Result]) -> concurrent.futures.Future[Result]:
        """Run a coroutine beside the caller."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def iterate(self, items: AsyncIterator[Result]) -> Iterator[Result]:
        """Go through an asynchronous iterator; leaving the loop early closes it."""
        try:
            while (item := self.run(_next(items))) is not None:
                yield item[0]
        finally:
            close: Callable[[], Awaitable[None]] | None = getattr(items, "aclose", None)
            if close is not None:
                self.run(_await(close()))

    def close(self) -> None:
        """Close the connections; the loop stays for others."""
        self.run(self.client.close())


async def _next(items: AsyncIterator[Result]) -> tuple[Result] | None:
    async for item in items:
        return (item,)
    return None


async def _await(work: Awaitable[None]) -> None:
    await work
