"""The life of one request: authorized, limited, placed on a replica, forwarded, tried once more, logged.

1. An internal path of the gateway itself is answered.
2. An address of no known service: 404 with an empty body.
3. GET and HEAD of a service's root need no token and are never held: a replica answers, or the readiness shapes.
4. No valid token: 401, before anything else is said.
5. A stopped service: 503 at once. An unknown version: 404. Limits: 413, 429.
6. A replica is chosen, or the request is held until one is ready: 503 after `holdSeconds`.
7. The request is forwarded. A replica that breaks off before the first byte of an answer, whose queue is full, or
   that drains, is replaced by another one, once. A replica that refuses the connection has got nothing, so that does
   not count.
8. The answer's bytes are forwarded as they come. Whatever happens, the place on the replica is given back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from runtime import auth
from runtime.contract.names import REQUEST_ID_HEADER, VERSION_HEADER
from runtime.gateway import answers
from runtime.gateway.answers import Answer
from runtime.gateway.balancer import Balancer, Lease, NoReplica, RateLimited, Slot
from runtime.gateway.client import Abort, Request
from runtime.gateway.gateway import Gateway
from runtime.gateway.heads import ResponseHead, forward_request, forward_response
from runtime.gateway.prefix import Place, Target, parse_target
from runtime.gateway.record import Record
from runtime.gateway.upstream import ReplicaConnection, UpstreamInvalid, UpstreamLost

CONNECT_ATTEMPTS = 8  # refused connections after which a request that may not be held any longer is given up
ROOT_SECONDS = 0.9  # a readiness probe is answered within a second
UPSTREAM_SECONDS = 3600.0  # for the head of an answer, where the service itself sets no limit
_CLOSING = frozenset((408, 413, 450))  # eas-protocols.md 3.2: the connection is closed after these
_ELSEWHERE = frozenset((450, 503))  # refused unprocessed: its queue is full, or it drains since a moment ago
_VERSION = VERSION_HEADER.lower().encode()
_REQUEST_ID = REQUEST_ID_HEADER.lower().encode()


class Refused(Exception):
    """The request is answered by the gateway itself."""

    def __init__(self, answer: Answer, error: str = "") -> None:
        super().__init__(error or str(answer.status))
        self.answer = answer
        self.error = error


@dataclass(slots=True)
class _Exchange:
    """A replica that has begun to answer."""

    lease: Lease
    connection: ReplicaConnection
    head: ResponseHead


class Proxy:
    """Handles requests against what the gateway knows."""

    def __init__(
        self, gateway: Gateway, loop: asyncio.AbstractEventLoop, internal: Callable[[Request, str], Answer]
    ) -> None:
        self._gateway = gateway
        self._loop = loop
        self._internal = internal

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
        limit = request.body.limit / 1024 / 1024
        match why:
            case Abort.GONE | Abort.STALLED:
                record.status, record.error = 499, "the client " + ("left" if why is Abort.GONE else "stopped reading")
                request.client.abort()
            case Abort.TIMEOUT:
                self._answer(request, record, answers.TIMED_OUT)
            case Abort.BODY_TIMEOUT:
                self._answer(
                    request, record, answers.problem(408, "RequestTimeout", "the body stopped coming", close=True)
                )
            case Abort.TOO_LARGE:
                self._answer(request, record, answers.too_large(limit))
            case Abort.BAD_BODY:
                self._answer(
                    request, record, answers.problem(400, "BadRequest", "the body's chunks are malformed", close=True)
                )
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
            method = request.head.method
            if target.place is Place.ROOT and method in (b"GET", b"HEAD") and not request.head.websocket:
                await self._serve_root(request, record, balancer, target)
                return
            if balancer.limits.request_seconds > 0 and not request.head.websocket:
                timer = self._loop.call_at(
                    request.started + balancer.limits.request_seconds, request.cancel, Abort.TIMEOUT
                )
            await self._authorize(request, balancer, target)
            if target.place is Place.INTERNAL:
                raise Refused(answers.problem(404, "NotFound", f"{target.path} is not a path of the service"))
            version_hash = self._version(request, balancer)
            self._pass_limits(request, balancer)
            request.client.continue_body(request)
            hold_until = self._loop.time() + balancer.limits.hold_seconds
            exchange = await self._place(request, record, balancer, target, version_hash, hold_until)
            await self._relay(request, record, balancer, exchange)
        finally:
            if timer is not None:
                timer.cancel()
            balancer.in_flight -= 1

    async def _authorize(self, request: Request, balancer: Balancer, target: Target) -> None:
        if not balancer.needs_token:
            return
        headers = request.head.strings()
        body: bytes | None = None
        if auth.needs_body(headers):
            self._check_length(request, balancer)
            request.client.continue_body(request)
            request.body.keep_all = True
            request.client.flow()
            body = await request.body.read_whole()
        method = request.head.method.decode()
        if not auth.check(headers, method, target.path, body, balancer.view.tokens, target.service):
            raise Refused(answers.UNAUTHORIZED)

    def _version(self, request: Request, balancer: Balancer) -> str | None:
        """The hash that the request addresses; None: whichever the traffic map gives."""
        wanted = request.head.get(_VERSION)
        if wanted is None:
            if balancer.view.table is None:
                raise Refused(answers.no_upstream(1), "the service has no route yet")
            if balancer.stopped:
                raise Refused(answers.no_upstream(60), "the service is stopped")
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
        if limits.concurrency > 0 and balancer.in_flight > limits.concurrency:
            raise Refused(answers.rate_limited(), "concurrency")
        if not balancer.pass_rate_limit():
            raise Refused(answers.rate_limited(balancer.retry_after()), "qps")

    def _check_length(self, request: Request, balancer: Balancer) -> None:
        length = request.head.get(b"content-length")
        if request.body.over_limit or (length is not None and int(length) > request.body.limit):
            raise Refused(answers.too_large(balancer.limits.body_mib))

    async def _serve_root(self, request: Request, record: Record, balancer: Balancer, target: Target) -> None:
        """A readiness probe: a replica's own page or status, within a second, or one of the two shapes."""
        wanted = request.head.get(_VERSION)
        version_hash = balancer.find_version(wanted.decode("latin-1")) if wanted is not None else None
        timer = self._loop.call_later(ROOT_SECONDS, request.cancel, Abort.TIMEOUT)
        try:
            exchange = await self._place(request, record, balancer, target, version_hash, None)
        except asyncio.CancelledError:
            if request.abort is not Abort.TIMEOUT:
                raise
            # The host has seen it ready, so it is busy, not gone; a client that waits for the service may begin.
            raise Refused(answers.READY, "the replica did not answer in time") from None
        finally:
            timer.cancel()
        await self._relay(request, record, balancer, exchange)

    # Steps 6 to 8 ----------------------------------------------------------------------------------------------------

    async def _place(
        self,
        request: Request,
        record: Record,
        balancer: Balancer,
        target: Target,
        version_hash: str | None,
        hold_until: float | None,
    ) -> _Exchange:
        """Send the request to a replica until one answers. Raises Refused when none does."""
        upstream_head = forward_request(request.head, target.origin, record.id)
        refusals, retried = 0, False
        lease = await self._acquire(balancer, version_hash, hold_until)
        while True:
            try:
                exchange = await self._attempt(request, record, balancer, lease, upstream_head)
            except OSError as error:  # TimeoutError is one: no connection, so nothing was sent
                lease.release()
                balancer.suspect(lease.slot)
                refusals += 1
                if refusals >= CONNECT_ATTEMPTS and (hold_until is None or self._loop.time() >= hold_until):
                    raise _unreachable(error) from error
                lease = await self._acquire(balancer, version_hash, hold_until)
            except UpstreamLost as lost:
                lease.release()
                if retried or lost.answered or not request.body.replayable:
                    raise Refused(answers.BROKEN, f"{lease.slot.endpoint.replica}: {lost}") from lost
                retried = True
                record.retries += 1
                lease = await self._acquire(balancer, version_hash, hold_until, avoid=lease.slot)
            except UpstreamInvalid as error:
                lease.release()
                raise Refused(answers.BROKEN, f"{lease.slot.endpoint.replica}: {error}") from error
            except BaseException:
                lease.release()
                raise
            else:
                if exchange.head.status not in _ELSEWHERE or retried or not request.body.replayable:
                    return exchange
                try:
                    other = await balancer.acquire(version_hash, tried=(lease.slot,))
                except (NoReplica, RateLimited):
                    return exchange  # nobody else: the client gets this one's answer
                self._gateway.pool(lease.slot).give_back(exchange.connection)
                lease.release()
                lease, retried = other, True
                record.retries += 1

    async def _acquire(
        self, balancer: Balancer, version_hash: str | None, hold_until: float | None, avoid: Slot | None = None
    ) -> Lease:
        """A place on a replica, rather not on `avoid`. Raises Refused."""
        try:
            if avoid is not None:
                try:
                    return await balancer.acquire(version_hash, tried=(avoid,))
                except NoReplica:
                    pass  # then the same one, when it is back
            return await balancer.acquire(version_hash, hold_until=hold_until)
        except NoReplica as none:
            answer = answers.NO_UPSTREAM if hold_until is None else answers.no_upstream(1)
            raise Refused(answer, none.reason) from none
        except RateLimited:
            raise Refused(answers.rate_limited(), "qpsPerReplica") from None

    async def _attempt(
        self, request: Request, record: Record, balancer: Balancer, lease: Lease, upstream_head: bytes
    ) -> _Exchange:
        """Send the request to one replica and wait for the head of its answer.

        A kept connection that its replica closed in the same moment is replaced by a fresh one.
        Raises OSError (not connected), UpstreamLost, UpstreamInvalid, Refused (504).
        """
        pool = self._gateway.pool(lease.slot)
        record.version, record.replica = lease.slot.hash, lease.slot.endpoint.replica
        fresh = False
        while True:
            connection = await pool.connect(fresh=fresh)
            try:
                body = request.body.attach(connection)
                request.client.resume_upload()
                answer = connection.begin(request.head.method, upstream_head + body, request.client)
                if balancer.limits.request_seconds > 0:
                    head = await answer
                else:
                    async with asyncio.timeout(UPSTREAM_SECONDS):
                        head = await answer
                return _Exchange(lease, connection, head)
            except TimeoutError as error:
                pool.give_back(connection)
                raise Refused(answers.SILENT, f"{record.replica}: no answer within {UPSTREAM_SECONDS:g} s") from error
            except UpstreamLost as lost:
                pool.give_back(connection)
                if fresh or lost.answered or not connection.reused or not request.body.replayable:
                    raise
                fresh = True
            except BaseException:
                pool.give_back(connection)
                raise

    async def _relay(self, request: Request, record: Record, balancer: Balancer, exchange: _Exchange) -> None:
        """Forward an answer as it comes."""
        head, connection, client = exchange.head, exchange.connection, request.client
        finished = False
        try:
            record.status = head.status
            if head.status == 101 and not request.head.websocket:
                raise Refused(answers.BROKEN, "the replica switched protocols unasked")
            if request.head.http_1_0 and b"transfer-encoding" in head.by_name:
                raise Refused(answers.BROKEN, "the replica answered HTTP/1.0 in chunks")
            close = client.must_close(request) or head.status in _CLOSING or connection.until_close
            if head.status == 101:
                option = b"Upgrade"
            elif close:
                option = b"close"
            else:
                option = b"keep-alive" if request.head.http_1_0 else b""
            client.attach(connection)
            request.answered = True
            client.write(forward_response(head, connection=option, extra=self._extra(head, exchange.lease, record)))
            if head.status == 101:
                done = connection.tunnel()
                client.open_tunnel()
            else:
                done = connection.stream()
            await done
            finished = True
            if close:
                client.close_after()
        except (UpstreamLost, UpstreamInvalid) as error:
            record.error = f"{record.replica}: {error}"
            if not connection.is_tunnel:
                raise Refused(answers.BROKEN, record.error) from error
        finally:
            client.attach(None)
            record.bytes_out = connection.payload
            if connection.first_byte_at is not None:
                record.ttft = connection.first_byte_at - request.started
            if head.status < 500:
                balancer.answered(exchange.lease.slot, record.ttft)
            if not finished or not request.body.complete:
                connection.reusable = False
            request.body.upstream = None
            self._gateway.pool(exchange.lease.slot).give_back(connection)
            exchange.lease.release()

    def _extra(self, head: ResponseHead, lease: Lease, record: Record) -> bytes:
        lines = b""
        if _VERSION not in head.by_name:
            lines += b"%s: %s\r\n" % (VERSION_HEADER.encode(), lease.slot.hash.encode())
        if _REQUEST_ID not in head.by_name:
            lines += b"%s: %s\r\n" % (REQUEST_ID_HEADER.encode(), record.id)
        return lines


def _unreachable(error: OSError) -> Refused:
    answer = answers.SILENT if isinstance(error, TimeoutError) else answers.no_upstream(1)
    return Refused(answer, str(error) or "connecting took too long")
