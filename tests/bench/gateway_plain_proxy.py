"""The peer that anyone would write: a plain aiohttp proxy. `python -m tests.bench.gateway_plain_proxy SOCKET PORT`."""

from __future__ import annotations

import sys

import aiohttp
from aiohttp import web


async def forward(request: web.Request) -> web.StreamResponse:
    """Forward one request and its streamed answer."""
    session: aiohttp.ClientSession = request.app["session"]
    async with session.request(request.method, f"http://u{request.path_qs}", data=await request.read()) as upstream:
        answer = web.StreamResponse(status=upstream.status, headers={"Content-Type": upstream.content_type})
        await answer.prepare(request)
        async for chunk in upstream.content.iter_any():
            await answer.write(chunk)
    return answer


async def application() -> web.Application:
    """The proxy, with one session for all requests."""
    app = web.Application(client_max_size=1 << 26)
    app["session"] = aiohttp.ClientSession(
        connector=aiohttp.UnixConnector(sys.argv[1], limit=0), timeout=aiohttp.ClientTimeout(total=None)
    )
    app.router.add_route("*", "/{path:.*}", forward)
    return app


if __name__ == "__main__":
    web.run_app(application(), host="127.0.0.1", port=int(sys.argv[2]), access_log=None, print=None)
