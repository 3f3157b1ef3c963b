"""OpenAI's API of method vllm: vLLM's own bytes, in both directions (eas-protocols.md section 8)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

import aiohttp
from aiohttp import web

from runtime.contract.cluster import GATEWAY_HEADER
from runtime.replica import answers
from runtime.replica.call import Call, Routes
from runtime.replica.protocols.usage import StreamMeter, Usage, usage_of

if TYPE_CHECKING:  # a replica of another engine has no use for it
    from runtime.replica.engines.vllm.engine import VllmEngine

HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
     "upgrade", "content-length", "host", "authorization", "expect", "server", "date", GATEWAY_HEADER.lower())
)  # fmt: skip
"""Not passed on: they belong to one connection, or carry a secret, which is not vLLM's business."""


def routes() -> Routes:
    """Everything under /v1, and /health."""
    both = {"GET": forward, "POST": forward}
    return {"/v1/*": both, "/v1/chat/*": both, "/v1/audio/*": both, "/health": {"GET": forward}}


async def forward(call: Call) -> web.StreamResponse:
    """One request to vLLM and its answer back, chunk by chunk as they come."""
    call.protocol = "openai"
    engine, request = cast("VllmEngine", call.replica.engine), call.request
    limits, load = call.settings.limits, engine.load()
    if request.method == "POST" and limits.queue and load.queue >= limits.queue:
        return answers.queue_full(f"{load.queue} requests wait already; this replica queues at most {limits.queue}")
    headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
    query = request.raw_path.partition("?")
    target = call.path + query[1] + query[2]
    try:
        with engine.busy():
            async with engine.session.request(request.method, target, data=call.body or None, headers=headers) as reply:
                return await _copy(call, reply)
    except aiohttp.ClientError:
        if call.streaming is not None:
            call.break_off()
            return call.streaming
        return answers.error(502, "BadGateway", "vLLM broke the connection")


async def _copy(call: Call, reply: aiohttp.ClientResponse) -> web.StreamResponse:
    kept = {name: value for name, value in reply.headers.items() if name.lower() not in HOP_BY_HOP}
    counted = reply.status == 200 and call.request.method == "POST"
    if reply.headers.get("Transfer-Encoding", "").lower() != "chunked":
        body = await reply.read()
        if counted:
            _count(call, usage_of(body))
        return web.Response(status=reply.status, body=body, headers={**call.base_headers, **kept})
    response = web.StreamResponse(status=reply.status, headers={**call.base_headers, **kept})
    call.streaming = response
    await response.prepare(call.request)
    meter, metrics, last = StreamMeter(), call.replica.metrics, 0.0
    try:
        async for chunk in reply.content.iter_any():
            if counted and meter.feed(chunk):
                now = time.perf_counter()
                if last:
                    metrics.inter_token.observe(now - last)
                else:
                    metrics.ttft.observe(now - call.arrived)
                last = now
            await response.write(chunk)
    finally:
        if counted:
            _count(call, meter.usage(chat="/chat/" in call.path))
    await response.write_eof()
    return response


def _count(call: Call, usage: Usage) -> None:
    call.replica.metrics.prompt_tokens.inc(usage.prompt or 0)
    call.replica.metrics.completion_tokens.inc(usage.completion or 0)
