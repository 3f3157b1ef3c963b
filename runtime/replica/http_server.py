"""aiohttp's low-level server, but what is not HTTP is answered and logged without repeating it: it may hold a token."""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web

from runtime.replica import answers

log = logging.getLogger(__name__)

KEEPALIVE_SECONDS = 300.0
LINGER_SECONDS = 2.0
"""How long an unread request body is read and dropped, so that the client can read our early answer."""


class _Connection(web.RequestHandler):
    """One client connection."""

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
    """Makes such connections. A client that leaves cancels its handler at once."""

    def __call__(self) -> web.RequestHandler:
        return _Connection(
            self,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # the gateway logs
            keepalive_timeout=KEEPALIVE_SECONDS,
            lingering_time=LINGER_SECONDS,
        )
