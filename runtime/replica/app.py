"""A replica's HTTP edge: who may ask (sections 1-2), within which limits (3.2-3.3), and which protocol answers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from pathlib import Path

from aiohttp import HttpVersion11, web

from runtime.auth import Headers, check, needs_body
from runtime.contract import names
from runtime.contract.replica import ServiceSettings
from runtime.replica import answers
from runtime.replica.call import CLIENT_LEFT, UPGRADE, Call, Handler, Routes
from runtime.replica.gateway_key import GatewayKey
from runtime.replica.http_server import Server
from runtime.replica.passage import header_lines
from runtime.replica.protocols import passthrough
from runtime.replica.protocols.table import root, routes_of, unknown_path
from runtime.replica.replica import Replica

log = logging.getLogger(__name__)

MIB = 1024 * 1024
_REQUEST_ID = names.REQUEST_ID_HEADER.encode()


class TooLarge(Exception):
    """The body exceeds the limit."""


class App:
    """The low-level aiohttp server of one replica: no router and no middleware between a byte and its protocol."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        settings = Path(replica.spec.settings_file)
        self._gateway_key = GatewayKey(settings.parent / "key" / "replica-key") if replica.settings.in_pod else None
        self._routes: Routes = routes_of(replica.spec.template.method, replica.spec.template.engine)
        self._headers = {
            names.VERSION_HEADER: replica.spec.hash,
            names.REPLICA_HEADER: replica.spec.replica,
            "Server": "inferform",
        }
        self._lines = header_lines(self._headers)

    def server(self) -> web.Server:
        """To be run by `web.ServerRunner`. A client that leaves cancels its handler at once."""
        passes = any(passthrough.forward in methods.values() for methods in self._routes.values())
        return Server(self.handle, self if passes else None)

    # A door's questions ------------------------------------------------------------------------------------------

    def path_of(self, original: str) -> str:
        """The part of a path after the prefix."""
        return strip_prefix(original, self.replica.spec.service)

    def passes_on(self, method: str, path: str, original: str, headers: Headers, body: bytes) -> bool:
        """Whether vLLM answers this request, and may be asked it now."""
        replica, settings = self.replica, self.replica.settings.current
        if (self._route(path) or {}).get(method) is not passthrough.forward or not replica.ready:
            return False
        limits = settings.limits
        if limits.body_mib and len(body) > limits.body_mib * MIB:
            return False
        if method == "POST" and limits.queue and replica.load().queue >= limits.queue:
            return False
        return self._authorized(headers, method, original, body, settings)

    def header_lines(self, request_id: bytes | None) -> bytes:
        """The headers of every answer, as lines."""
        return self._lines + (b"%s: %s\r\n" % (_REQUEST_ID, request_id) if request_id else b"")

    # A request --------------------------------------------------------------------------------------------------

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request. Never raises but for a client that left."""
        arrived = time.perf_counter()
        path = request.raw_path.partition("?")[0]
        if not path.startswith("/"):  # absolute form
            path = request.rel_url.raw_path
        replica = self.replica
        if path.startswith("/-/"):
            if path.startswith(names.CHECK_PATH + "/"):
                return self._finished(await self._check(request, path[len(names.CHECK_PATH) :]), self._headers)
            return self._finished(self._internal(request.method, path), self._headers)
        headers = dict(self._headers)
        if request_id := request.headers.get(names.REQUEST_ID_HEADER):
            headers[names.REQUEST_ID_HEADER] = request_id
        call = Call(
            request, replica, replica.settings.current, path, strip_prefix(path, replica.spec.service), arrived, headers
        )
        code = CLIENT_LEFT
        replica.enter()
        try:
            response = await self._within_time(call)
            code = response.status
        finally:
            replica.leave()
            replica.metrics.answered(call.protocol, call.status or code)
        return self._finished(response, headers)

    async def _within_time(self, call: Call) -> web.StreamResponse:
        seconds = call.settings.limits.request_seconds
        upgrade = is_upgrade(call.request)
        try:
            # A socket has a clock per message, not one for its life (3.3).
            async with asyncio.timeout(None if upgrade or not seconds else seconds):
                return await self._answer(call, upgrade)
        except TooLarge:
            return answers.too_large(call.settings.limits.body_mib)
        except TimeoutError:
            if call.streaming is None:
                return answers.timed_out(seconds)
            call.status = 408
        except ConnectionError:
            call.status = CLIENT_LEFT
            raise
        except web.HTTPException as refused:  # aiohttp's own, such as a broken socket handshake
            return answers.error(refused.status, "BadRequest", refused.text or refused.reason, close=True)
        except Exception:  # the edge: a defect is logged and answered without its traceback
            log.exception("a request failed unexpectedly")
            if call.streaming is None:
                return answers.internal_error()
            call.status = 500
        call.break_off()
        return call.streaming

    async def _answer(self, call: Call, upgrade: bool) -> web.StreamResponse:
        request, replica = call.request, self.replica
        method = request.method
        if method in ("GET", "HEAD") and call.path == "/" and not upgrade:
            return await self._root(call)
        if needs_body(request.headers):
            call.body = await read_body(request, call.settings.limits.body_mib)
        if not self._authorized(request.headers, method, call.original_path, call.body, call.settings):
            return answers.unauthorized()
        known = self._route(call.path)
        if known is None:
            return unknown_path(replica.spec.template.method)
        handler = known.get(UPGRADE if upgrade else method)
        if handler is None:
            allowed = {"GET", "HEAD"} if call.path == "/" else set()
            return answers.method_not_allowed(allowed | known.keys() - {UPGRADE})
        if not replica.ready:
            return answers.not_ready()
        if request.can_read_body and not call.body:
            call.body = await read_body(request, call.settings.limits.body_mib)
        return await handler(call)

    async def _check(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        """The status that a GET of a declared `httpPath` gets, without its body: who checks has no token (3.1)."""
        replica = self.replica
        declared = {probe.http_path for probe in replica.spec.template.probes.values()}
        if request.method not in ("GET", "HEAD"):
            return answers.method_not_allowed(("GET", "HEAD"))
        # As declared, with its query; a query that the path does not have is the asker's own.
        if request.raw_path.removeprefix(names.CHECK_PATH) not in declared and path not in declared:
            return answers.not_found()
        handler = root if path == "/" else (self._route(path) or {}).get("GET")
        if not replica.ready:
            return answers.not_ready()
        if handler is None:
            return web.Response(status=404)
        call = Call(request, replica, replica.settings.current, path, path, time.perf_counter(), self._headers)
        call.protocol = "check"
        try:
            answer = await handler(call)
        except ConnectionError:
            raise
        except Exception:  # as for any other request
            log.exception("a check failed unexpectedly")
            return answers.internal_error()
        return answer if answer.prepared else web.Response(status=answer.status)

    def _route(self, path: str) -> Mapping[str, Handler] | None:
        return self._routes.get(path) or self._routes.get(path.rpartition("/")[0] + "/*")

    async def _root(self, call: Call) -> web.StreamResponse:
        """GET and HEAD of the root need no token: readiness shapes and the page (3.1)."""
        if not self.replica.ready:
            return answers.not_ready()
        call.settings = self.replica.settings.refresh()  # the page is there as soon as the route has moved
        return await root(call)

    def _authorized(self, headers: Headers, method: str, path: str, body: bytes, settings: ServiceSettings) -> bool:
        """`path` as it was sent."""
        if settings.auth == "none":
            return True
        if self._gateway_key is not None and self._gateway_key.shown_by(headers):
            return True
        service = named_service(path) or self.replica.spec.service
        for known in (settings, None):
            # A token may be newer than our last look at the file.
            tokens = (known or self.replica.settings.refresh()).tokens
            if check(headers, method, path, body, tokens, service):
                return True
        return False

    def _internal(self, method: str, path: str) -> web.Response:
        replica = self.replica
        if method not in ("GET", "HEAD"):
            return answers.method_not_allowed(("GET", "HEAD"))
        match path:
            case names.STATUS_PATH:
                status = replica.status()
                if status.error:
                    replica.failure_seen.set()
                return web.Response(text=status.to_json(), content_type="application/json")
            case names.READY_PATH:
                return web.Response(text="ready") if replica.ready else answers.not_ready()
            case names.METRICS_PATH:
                text = replica.metrics.text(replica.load())
                return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})
        return answers.not_found()

    @staticmethod
    def _finished(response: web.StreamResponse, headers: dict[str, str]) -> web.StreamResponse:
        if not response.prepared:
            response.headers.update(headers)
        return response


def strip_prefix(path: str, service: str) -> str:
    """The path without `/api/predict/<service>` (whole segments), at least `/` (rules 1.1 and 1.6)."""
    prefix = names.PREDICT_PREFIX + service
    if path == prefix:
        return "/"
    return path[len(prefix) :] if path.startswith(prefix + "/") else path


def named_service(path: str) -> str | None:
    """The `<service>` or `<group>.<service>` that a prefixed path names."""
    if not path.startswith(names.PREDICT_PREFIX):
        return None
    return path[len(names.PREDICT_PREFIX) :].partition("/")[0]


def is_upgrade(request: web.BaseRequest) -> bool:
    """Whether the client asks for a WebSocket."""
    return request.method == "GET" and request.headers.get("Upgrade", "").strip().lower() == "websocket"


async def read_body(request: web.BaseRequest, limit_mib: float) -> bytes:
    """The whole body as received. Raises TooLarge as soon as that is certain; limit 0 = none."""
    limit = limit_mib * MIB if limit_mib else float("inf")
    if (request.content_length or 0) > limit:
        raise TooLarge
    if request.headers.get("Expect", "").strip().lower() == "100-continue" and request.version == HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # nothing of the answer is out yet
    pieces, size = [], 0
    while not request.content.at_eof():
        piece = await request.content.readany()
        size += len(piece)
        if size > limit:
            raise TooLarge
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
