"""One HTTP request on its way through a protocol: what came, when, and how an answer leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from runtime.contract.replica import ServiceSettings
from runtime.replica.replica import Replica

CLIENT_LEFT = 499
"""A status that is counted and never sent (eas-protocols.md section 3.2)."""
ABORT_SECONDS = 5.0
"""How long a broken-off answer may wait for a slow reader before the connection is reset."""
STREAM_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


@dataclass(slots=True)
class Call:
    """`path` is the part after the URL prefix, `original_path` as it was sent; `arrived` is `time.perf_counter()`."""

    request: web.BaseRequest
    replica: Replica
    settings: ServiceSettings
    original_path: str
    path: str
    arrived: float
    base_headers: Mapping[str, str]
    protocol: str = "other"
    body: bytes = b""
    status: int = 0
    streaming: web.StreamResponse | None = field(default=None)

    @property
    def content_type(self) -> str:
        """The header as sent, `""` without one."""
        return self.request.headers.get("Content-Type", "")

    async def open_stream(self, content_type: str) -> web.StreamResponse:
        """Begin a streamed 200; from now on an error can only break the connection off."""
        response = web.StreamResponse(headers={**self.base_headers, **STREAM_HEADERS, "Content-Type": content_type})
        self.streaming = response
        await response.prepare(self.request)
        return response

    def break_off(self) -> None:
        """Close the connection without the final chunk, so that no client takes the part for the whole."""
        transport = self.request.transport
        if transport is not None:
            transport.close()
            asyncio.get_running_loop().call_later(ABORT_SECONDS, transport.abort)


Handler = Callable[[Call], Awaitable[web.StreamResponse]]
Routes = Mapping[str, Mapping[str, Handler]]
"""Path after the prefix (`/documents/*`: with one more segment) -> method, or UPGRADE -> handler."""
UPGRADE = "UPGRADE"
"""In place of a method: a WebSocket handshake."""
