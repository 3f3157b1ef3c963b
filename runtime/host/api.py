"""The admin API: HTTP with JSON over the host's unix socket. docs/designs/local-target.md has the table of calls."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from pydantic import ValidationError

from runtime.contract.document import Document
from runtime.contract.host import Epoch, GatewayReport, GatewaySettings, Problem
from runtime.contract.names import EPOCH_HEADER
from runtime.host import logs
from runtime.host.api_services import ServiceCalls
from runtime.host.api_versions import VersionCalls
from runtime.host.host import Host
from runtime.host.listening import PortBusy
from runtime.host.refusal import Refusal, parse

HEARTBEAT_SECONDS = 5.0
GATEWAY_SECONDS = 15.0


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error answer is a Problem; what the body held is never repeated, it may be a token."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return answer(Problem(code=refusal.code, message=str(refusal)), refusal.status)
    except ValidationError as error:
        places = "; ".join(f"{'.'.join(map(str, entry['loc'])) or 'body'}: {entry['msg']}" for entry in error.errors())
        return answer(Problem(code="Invalid", message=places), 400)
    except ConnectionError:
        raise  # the client went away
    except (sqlite3.Error, OSError) as error:
        logs.log.exception("a call failed")
        return answer(Problem(code="Failed", message=f"the host cannot write its state: {error}"), 500)
    except web.HTTPException as error:
        code = "NotFound" if error.status in (404, 405) else "Invalid"
        return answer(Problem(code=code, message=f"{request.method} {request.path}: {error.reason}"), error.status)


def answer(document: Document, status: int = 200) -> web.Response:
    """A document as JSON."""
    return web.Response(text=document.to_json(), content_type="application/json", status=status)


class Api:
    """The calls about the host itself and its gateway; those about services are in their own modules."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def application(self) -> web.Application:
        app = web.Application(middlewares=[problems, self._guard()], client_max_size=16 * 1024 * 1024)
        app.router.add_get("/v1/host", self.host)
        app.router.add_post("/v1/epochs", self.epoch)
        app.router.add_put("/v1/gateway", self.gateway)
        app.router.add_get("/v1/drift", self.drift)
        app.router.add_get("/v1/watch", self.watch)
        app.router.add_post("/v1/gateway/report", self.report)
        app.router.add_post("/v1/leave", self.leave)
        app.router.add_post("/v1/shutdown", self.shutdown)
        VersionCalls(self._host).add_to(app)
        ServiceCalls(self._host).add_to(app)
        return app

    def _guard(self) -> Middleware:
        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            text = request.headers.get(EPOCH_HEADER)
            if text is not None and request.method in ("PUT", "POST", "DELETE"):
                if not text.isdigit():
                    raise Refusal(400, "Invalid", f"{EPOCH_HEADER}: {text!r} is not a number")
                newest = self._host.store.epoch
                if int(text) < newest:
                    raise Refusal(409, "StaleEpoch", f"epoch {text} is over, a newer run has epoch {newest}")
            if self._host.stopping:
                raise Refusal(503, "NotFound", "the host is shutting down")
            return await handler(request)

        return guard

    async def host(self, request: web.Request) -> web.Response:
        return answer(self._host.info(os.getpid()))

    async def epoch(self, request: web.Request) -> web.Response:
        epoch = self._host.store.epoch + 1
        self._host.store.put("epoch", str(epoch))
        return answer(Epoch(epoch=epoch))

    async def gateway(self, request: web.Request) -> web.Response:
        settings = await parse(GatewaySettings, request)
        if not 0 <= settings.port <= 65535:
            raise Refusal(400, "Invalid", f"port: {settings.port} is not between 0 and 65535")
        try:
            await self._host.gateway.apply(settings)
        except PortBusy as error:
            raise Refusal(409, "PortBusy", str(error)) from None
        keeper = self._host.gateway
        await self._host.bell.until(lambda: keeper.state.ready, GATEWAY_SECONDS)
        return answer(keeper.state)

    async def drift(self, request: web.Request) -> web.Response:
        return web.json_response([entry.to_data() for entry in self._host.drift()])

    async def watch(self, request: web.Request) -> web.StreamResponse:
        """The whole view on every change, and every few seconds; a slow reader skips views, never gets an old one."""
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        host, sent = self._host, 0

        def news() -> bool:
            return host.stopping or host.view.current.revision != sent

        while not host.stopping:
            view = host.view.current
            sent = view.revision
            try:
                await response.write(view.to_json().encode() + b"\n")
            except ConnectionError:
                break
            await host.bell.until(news, HEARTBEAT_SECONDS)
        return response

    async def report(self, request: web.Request) -> web.Response:
        self._host.take_report(await parse(GatewayReport, request))
        return web.json_response({})

    async def leave(self, request: web.Request) -> web.Response:
        """As SIGTERM: the host exits, replicas and gateway run on until its successor adopts them."""
        asyncio.get_running_loop().call_soon(self._host.leave)
        return web.json_response({})

    async def shutdown(self, request: web.Request) -> web.Response:
        if routes := sorted(self._host.store.routes()):
            raise Refusal(409, "InUse", f"a route still exists: {', '.join(routes)}; delete it first")
        await self._host.shut_down()
        return web.json_response({})


@asynccontextmanager
async def serve(host: Host) -> AsyncIterator[None]:
    """Serve the API on the host's socket (0600) for as long as the block runs."""
    path = host.folder.host_socket
    path.unlink(missing_ok=True)
    runner = web.AppRunner(Api(host).application(), access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    # No umask window: the folder is 0700, and the mode is set before anybody is told of the socket.
    await web.UnixSite(runner, str(path)).start()
    path.chmod(0o600)
    logs.note("serving", socket=str(path), incarnation=host.incarnation)
    try:
        yield
    finally:
        await runner.cleanup()
