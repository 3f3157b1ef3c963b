"""aiohttp's low-level server, but what is not HTTP is answered and logged without repeating it: it may hold a token."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import cast

from aiohttp import web

from runtime.replica import answers
from runtime.replica.door import Door, Gate
from runtime.replica.passage import Passage

log = logging.getLogger(__name__)

KEEPALIVE_SECONDS = 300.0
LINGER_SECONDS = 2.0
"""How long an unread request body is read and dropped, so that the client can read our early answer."""


class Connection(web.RequestHandler):
    """One client connection. `passage` is what is being passed on to it, past aiohttp."""

    passage: Passage | None = None

    def pause_writing(self) -> None:
        """The client takes no more for now."""
        super().pause_writing()
        if self.passage is not None:
            self.passage.pause(True)

    def resume_writing(self) -> None:
        """The client takes bytes again."""
        super().resume_writing()
        if self.passage is not None:
            self.passage.pause(False)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to bytes that the HTTP parser refused. aiohttp's own would quote them here and in the log."""
        log.info("malformed HTTP from a client: %s", type(exc).__name__ if exc is not None else status)
        if request.writer.output_size > 0:
            raise ConnectionError("part of an answer has been sent already")
        if status >= 500:
            return answers.internal_error()
        answer = answers.error(status, "BadRequest", "malformed HTTP request", close=True)
        answer.headers["Connection"] = "close"  # the answer is HTTP/1.0, which would leave it out
        return answer


class Server(web.Server):
    """Makes such connections, or doors that lead to them. A client that leaves cancels its handler at once."""

    def __init__(self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], door: Gate | None) -> None:
        super().__init__(handler, handler_cancellation=True)
        self._door = door
        self._doors: set[Door] = set()

    def __call__(self) -> web.RequestHandler:
        """The protocol of a new connection."""
        if self._door is not None:
            return cast(web.RequestHandler, Door(self._door, self._connection, self._doors))
        return self._connection()

    def pre_shutdown(self) -> None:
        """Close what is idle."""
        for door in tuple(self._doors):
            door.shut()
        super().pre_shutdown()

    async def shutdown(self, timeout: float | None = None) -> None:
        """Cut what still runs after so many seconds."""
        running = [door.task for door in self._doors if door.task is not None]
        if running:
            await asyncio.wait(running, timeout=timeout)
        for door in tuple(self._doors):
            door.cut()
        await super().shutdown(timeout)

    def _connection(self) -> Connection:
        return Connection(
            self,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # the gateway logs
            keepalive_timeout=KEEPALIVE_SECONDS,
            lingering_time=LINGER_SECONDS,
        )
