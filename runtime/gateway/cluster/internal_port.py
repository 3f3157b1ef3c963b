"""The port that clients do not see: metrics, health, and the activity that the leading gateway asks for."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from runtime.contract.names import HEALTH_PATH, METRICS_PATH
from runtime.gateway.answers import Answer
from runtime.gateway.gateway import Gateway
from runtime.gateway.internal import Internal

ACTIVITY_PATH = "/-/activity"  # GatewayActivity


@asynccontextmanager
async def internal_port(gateway: Gateway, listening: socket.socket) -> AsyncIterator[None]:
    """Serve it on a bound socket."""
    internal = Internal(gateway)

    async def metrics(request: web.Request) -> web.Response:
        return _response(internal.metrics())

    async def health(request: web.Request) -> web.Response:
        return _response(internal.health())

    async def activity(request: web.Request) -> web.Response:
        return web.Response(text=gateway.activity().to_json(), content_type="application/json")

    app = web.Application()
    app.router.add_get(METRICS_PATH, metrics)
    app.router.add_get("/metrics", metrics)  # where scrapers look when nobody tells them
    app.router.add_get(HEALTH_PATH, health)
    app.router.add_get(ACTIVITY_PATH, activity)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        yield
    finally:
        await runner.cleanup()


def _response(answer: Answer) -> web.Response:
    return web.Response(
        status=answer.status, body=answer.body, headers={"Content-Type": answer.content_type.decode("ascii")}
    )
