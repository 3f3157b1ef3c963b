"""The port that clients do not see: metrics, health, what gateways tell each other, and KEDA."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from runtime.contract.cluster import SCALE_PATH
from runtime.contract.names import HEALTH_PATH, METRICS_PATH
from runtime.gateway.answers import Answer
from runtime.gateway.cluster.totals import Totals
from runtime.gateway.gateway import Gateway
from runtime.gateway.internal import Internal

ACTIVITY_PATH = "/-/activity"  # GatewayActivity


@asynccontextmanager
async def internal_port(gateway: Gateway, listening: socket.socket, totals: Totals) -> AsyncIterator[None]:
    """Serve it on a bound socket."""
    internal = Internal(gateway)

    async def metrics(request: web.Request) -> web.Response:
        return _response(internal.metrics())

    async def health(request: web.Request) -> web.Response:
        return _response(internal.health())

    async def activity(request: web.Request) -> web.Response:
        return web.Response(text=gateway.activity().to_json(), content_type="application/json")

    async def scale(request: web.Request) -> web.Response:
        """What KEDA reads: a version's number, of all its replicas; 503 while it is not known."""
        key = request.query.get("service", ""), request.query.get("version", "")
        total = totals.known.get(key)
        if total is None:
            return web.json_response({"error": "no version of an autoscaler of the cluster"}, status=404)
        if total.value is None:
            return web.json_response({"error": "not known yet"}, status=503)
        return web.json_response({"metric": total.metric.value, "value": total.value})

    app = web.Application()
    app.router.add_get(METRICS_PATH, metrics)
    app.router.add_get("/metrics", metrics)  # where scrapers look when nobody tells them
    app.router.add_get(HEALTH_PATH, health)
    app.router.add_get(ACTIVITY_PATH, activity)
    app.router.add_get(SCALE_PATH, scale)
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
