"""The life of one request: authorized, limited, placed on a replica, forwarded, tried once more, logged.

1. An internal path of the gateway itself is answered.
2. An address of no known service: 404 with an empty body.
3. GET and HEAD of a service's root need no token and are never held: a replica answers, or the readiness shapes.
4. No valid token: 401, before anything else is said.
5. A stopped service: 503 at once. An unknown version: 404. Limits: 413, 429.
6. A replica is chosen, or the request is held until one is ready: 503 after `holdSeconds`.
7. The request is forwarded, and the answer's bytes as they come (`forward.py`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from runtime import auth
from runtime.contract.names import VERSION_HEADER
from runtime.gateway import answers
from runtime.gateway.answers import Answer, Refused
from runtime.gateway.balancer import Balancer
from runtime.gateway.forward import Forward
from runtime.gateway.gateway import Gateway
from runtime.gateway.prefix import Place, Target, parse_target
from runtime.gateway.record import Record
from runtime.gateway.request import Abort, Request

SIGNED_BYTES = 256 * 1024 * 1024  # bodies that are kept whole at the same time, before their signature can be checked
ROOT_SECONDS = 0.9  # a readiness probe is answered within a second
_VERSION = VERSION_HEADER.lower().encode()


class Proxy:
    """Handles requests against what the gateway knows."""

    def __init__(
        self, gateway: Gateway, loop: asyncio.AbstractEventLoop, internal: Callable[[Request, str], Answer]
    ) -> None:
        self._gateway = gateway
        self._loop = loop
        self._internal = internal
        self._signed_bytes = 0

    def start(self, request: Request) -> asyncio.Task[None]:
        """Begin to handle a request in a task of its own."""
        return self._loop.create_task(self._handle(request))

    async def _handle(self, request: Request) -> None:
        record = self._gateway.records.begin(request)
        client = request.client
        request.running = True
        try:
            if request.abort is not None:
                self._aborted(request, record, request.abort)
            else:
                await self._serve(request, record)
        except Refused as refused:
            record.error = refused.error
            self._answer(request, record, refused.answer)
        except asyncio.CancelledError:
            if request.abort is None:
                client.abort()
                raise
            self._aborted(request, record, request.abort)
        finally:
            if not record.status:  # an error of ours; the loop logs it
                record.status = 500
                client.abort()
            self._gateway.records.end(record, time.monotonic())
            client.request_done()

    def _answer(self, request: Request, record: Record, answer: Answer) -> None:
        record.status = answer.status
        if request.answered:  # the head was sent: only a cut tells the client that something is missing
            request.client.abort()
        else:
            request.client.send(request, answer)

    def _aborted(self, request: Request, record: Record, why: Abort) -> None:
        """End a request whose task was cancelled, as the reason asks."""
        match why:
            case Abort.GONE | Abort.STALLED:
                record.status, record.error = 499, "the client " + ("left" if why is Abort.GONE else "stopped reading")
                request.client.abort()
            case Abort.TIMEOUT:
                self._answer(request, record, answers.TIMED_OUT)
            case Abort.BODY_TIMEOUT:
                self._answer(request, record, answers.BODY_TIMED_OUT)
            case Abort.TOO_LARGE:
                self._answer(request, record, answers.too_large(request.body.limit / 1024 / 1024))
            case Abort.BAD_BODY:
                self._answer(request, record, answers.BAD_CHUNKS)
            case Abort.SHUTDOWN:
                record.error = "the gateway ended"
                self._answer(request, record, answers.no_upstream(1))

    # Steps 1 to 5 ----------------------------------------------------------------------------------------------------

    async def _serve(self, request: Request, record: Record) -> None:
        try:
            target = parse_target(request.head.target)
        except ValueError as error:
            raise Refused(answers.problem(400, "BadRequest", str(error))) from error
        record.path = target.path
        if target.place is Place.ELSEWHERE:
            raise Refused(self._internal(request, target.path))
        balancer = self._gateway.services.get(target.service)
        if balancer is None:
            raise Refused(answers.UNKNOWN_SERVICE)
        record.service = balancer.name
        request.body.limit = int(balancer.limits.body_mib * 1024 * 1024) or (1 << 62)
        balancer.in_flight += 1
        timer: asyncio.TimerHandle | None = None
        try:
            if balancer.limits.request_seconds > 0 and not request.head.websocket:
                late = request.started + balancer.limits.request_seconds
                timer = self._loop.call_at(late, request.cancel, Abort.TIMEOUT)
            method = request.head.method
            if target.place is Place.ROOT and method in (b"GET", b"HEAD") and not request.head.websocket:
                await self._serve_root(request, record, balancer, target)
                return
            await self._authorize(request, balancer, target)
            if target.place is Place.INTERNAL:
                raise Refused(answers.problem(404, "NotFound", f"{target.path} is not a path of the service"))
            version_hash = self._version(request, balancer)
            self._pass_limits(request, balancer)
            balancer.admitted += 1
            try:
                request.client.continue_body(request)
                hold_until = self._loop.time() + balancer.limits.hold_seconds
                forward = self._forward(request, record, balancer, target, version_hash, hold_until)
                await forward.relay(await forward.place())
            finally:
                balancer.admitted -= 1
        finally:
            if timer is not None:
                timer.cancel()
            balancer.in_flight -= 1

    def _forward(
        self,
        request: Request,
        record: Record,
        balancer: Balancer,
        target: Target,
        version_hash: str | None,
        hold_until: float | None,
    ) -> Forward:
        return Forward(
            *(self._gateway, balancer, request, record),
            origin=target.origin,
            version_hash=version_hash,
            hold_until=hold_until,
        )

    async def _authorize(self, request: Request, balancer: Balancer, target: Target) -> None:
        if not balancer.needs_token:
            return
        headers = request.head.text
        body: bytes | None = None
        if auth.needs_body(headers):
            self._check_length(request, balancer)
            body = await self._read_signed(request)
        method = request.head.method.decode()
        if not auth.check(headers, method, target.path, body, balancer.view.tokens, target.service):
            raise Refused(answers.UNAUTHORIZED)

    async def _read_signed(self, request: Request) -> bytes:
        """The whole body of a request that nobody has vouched for yet; there is only so much room for such bodies."""
        length = int(request.head.get(b"content-length") or (0 if request.body.complete else request.body.limit))
        if self._signed_bytes and self._signed_bytes + length > SIGNED_BYTES:
            raise Refused(answers.rate_limited(), "too many signed bodies at once")
        self._signed_bytes += length
        try:
            request.client.continue_body(request)
            request.body.keep_all = True
            request.client.flow()
            return await request.body.read_whole()
        finally:
            self._signed_bytes -= length

    def _version(self, request: Request, balancer: Balancer, *, probe: bool = False) -> str | None:
        """The hash that the request addresses; None: whichever the traffic map gives."""
        wanted = request.head.get(_VERSION)
        if wanted is None and not probe:
            if balancer.view.table is None:
                raise Refused(answers.no_upstream(1), "the service has no route yet")
            if balancer.stopped:
                raise Refused(answers.no_upstream(60), "the service is stopped")
        if wanted is None:
            return None
        name = wanted.decode("latin-1")
        version_hash = balancer.find_version(name)
        if version_hash is None:
            known = ", ".join(sorted(balancer.versions)) or "none"
            message = f"{VERSION_HEADER}: {name!r} is no version of {balancer.name}; its versions are: {known}"
            raise Refused(answers.problem(404, "VersionNotFound", message))
        return version_hash

    def _pass_limits(self, request: Request, balancer: Balancer) -> None:
        self._check_length(request, balancer)
        limits = balancer.limits
        if limits.concurrency > 0 and balancer.admitted >= limits.concurrency:
            raise Refused(answers.rate_limited(), "concurrency")
        if not balancer.pass_rate_limit():
            raise Refused(answers.rate_limited(balancer.retry_after()), "qps")

    def _check_length(self, request: Request, balancer: Balancer) -> None:
        length = request.head.get(b"content-length")
        if request.body.over_limit or (length is not None and int(length) > request.body.limit):
            raise Refused(answers.too_large(balancer.limits.body_mib))

    async def _serve_root(self, request: Request, record: Record, balancer: Balancer, target: Target) -> None:
        """A readiness probe: a replica's own page or status, within a second, or one of the two shapes."""
        forward = self._forward(request, record, balancer, target, self._version(request, balancer, probe=True), None)
        timer = self._loop.call_later(ROOT_SECONDS, request.cancel, Abort.TIMEOUT)
        try:
            exchange = await forward.place()
        except asyncio.CancelledError:
            if request.abort is not Abort.TIMEOUT:
                raise
            # The host has seen it ready, so it is busy, not gone; a client that waits for the service may begin.
            raise Refused(answers.READY, "the replica did not answer in time") from None
        finally:
            timer.cancel()
        await forward.relay(exchange)
