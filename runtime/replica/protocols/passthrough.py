"""OpenAI's API of method vllm: vLLM's own bytes, in both directions (eas-protocols.md section 8).

This is the general way, on aiohttp's connections; what most requests look like is passed on before aiohttp sees it
(`door.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aiohttp import HttpVersion11, web

from runtime.gateway.upstream import UpstreamInvalid, UpstreamLost
from runtime.replica import answers
from runtime.replica.call import Call, Routes
from runtime.replica.passage import Passage, header_lines, request_of

if TYPE_CHECKING:  # a replica of another engine has no use for them
    from runtime.replica.engines.vllm.engine import VllmEngine
    from runtime.replica.http_server import Connection


def routes() -> Routes:
    """Everything under /v1, and /health."""
    both = {"GET": forward, "POST": forward}
    return {"/v1/*": both, "/v1/chat/*": both, "/v1/audio/*": both, "/health": {"GET": forward}}


async def forward(call: Call) -> web.StreamResponse:
    """One request to vLLM and its answer back, as it comes."""
    call.protocol = "openai"
    engine, request = cast("VllmEngine", call.replica.engine), call.request
    limits, load = call.settings.limits, engine.load()
    if request.method == "POST" and limits.queue and load.queue >= limits.queue:
        return answers.queue_full(f"{load.queue} requests wait already; this replica queues at most {limits.queue}")
    if request.version < HttpVersion11:
        return answers.error(505, "HttpVersionNotSupported", "vLLM's API needs HTTP/1.1")
    connection, transport = cast("Connection", request.protocol), request.transport
    if transport is None:
        raise ConnectionResetError("the client has left")
    _, mark, query = request.raw_path.partition("?")
    with engine.busy():
        passage = connection.passage = Passage(
            *(engine.pool, call.replica.metrics, transport),
            method=request.method,
            path=call.path,
            asked=request_of(request.method, f"{call.path}{mark}{query}", request.raw_headers, call.body),
            arrived=call.arrived,
        )
        passage.write_paused = connection.writing_paused
        try:
            passage.send()
            head = await passage.head()
            passed = call.streaming = _Passed(request, head.status)
            extra = header_lines(call.base_headers)
            passed._keep_alive = await passage.answer(head, extra, keep_alive=bool(request.keep_alive))
            return passed
        except (UpstreamLost, UpstreamInvalid, OSError):
            if call.streaming is not None:
                call.break_off()
                return call.streaming
            return answers.error(502, "BadGateway", "vLLM broke the connection")
        finally:
            connection.passage = None
            passage.end()


class _Passed(web.StreamResponse):
    """An answer whose bytes are on the wire already; aiohttp has nothing left to send."""

    def __init__(self, request: web.BaseRequest, status: int) -> None:
        super().__init__(status=status)
        self._eof_sent = True
        self._keep_alive = request.keep_alive
