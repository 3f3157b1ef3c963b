"""One request on its way to a replica and back: placed, sent, tried once more, its answer forwarded as it comes.

A replica that breaks off before the first byte of an answer, or whose queue is full, is replaced by another one, once.
One that refuses the connection, or says that it takes nothing now, has processed nothing: that does not count, and
when there is no other one the request is held. A generation that nobody has seen a byte of is safe to ask for again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from runtime.contract.names import REPLICA_HEADER, REQUEST_ID_HEADER, VERSION_HEADER
from runtime.gateway import answers
from runtime.gateway.answers import Refused
from runtime.gateway.balancer import Balancer, Lease, NoReplica, RateLimited, Slot
from runtime.gateway.gateway import Gateway
from runtime.gateway.heads import ResponseHead, forward_request, forward_response
from runtime.gateway.record import Record
from runtime.gateway.request import Request
from runtime.gateway.upstream import ReplicaConnection, UpstreamInvalid, UpstreamLost

REFUSALS = 8  # of connections, after which a request that may not be held any longer is given up
SILENT_SECONDS = 3600.0  # for the head of an answer, where no other clock runs
_CLOSING = frozenset((408, 413, 450))  # eas-protocols.md 3.2: the connection is closed after these
_ELSEWHERE = frozenset((450, 503))  # another replica may do better
_REPLICA = REPLICA_HEADER.lower().encode()
_VERSION = VERSION_HEADER.lower().encode()
_REQUEST_ID = REQUEST_ID_HEADER.lower().encode()


@dataclass(slots=True)
class Exchange:
    """A replica that has begun to answer."""

    lease: Lease
    connection: ReplicaConnection
    head: ResponseHead


class _TakesNothing(Exception):
    """The replica has processed nothing of the request: no connection, or it said that it is not ready."""

    def __init__(self, text: str, *, slow: bool = False) -> None:
        super().__init__(text)
        self.slow = slow


class Forward:
    """`place` finds a replica that answers, `relay` forwards its answer; whatever happens, its place is given back."""

    def __init__(
        self,
        gateway: Gateway,
        balancer: Balancer,
        request: Request,
        record: Record,
        *,
        origin: bytes,
        version_hash: str | None,
        hold_until: float | None,
    ) -> None:
        self._gateway, self._balancer, self._request, self._record = gateway, balancer, request, record
        self._version = version_hash  # None: whichever the traffic map gives
        self._hold_until = hold_until  # on the loop's clock; None: not held
        self._loop = asyncio.get_running_loop()
        self._raw_head = forward_request(request.head, origin, record.id, gateway.replica_lines)

    async def place(self) -> Exchange:
        """Send the request to a replica until one answers. Raises Refused when none does."""
        refusals, retried = 0, False
        lease = await self._acquire()
        while True:
            name = lease.slot.endpoint.replica
            try:
                exchange = await self._attempt(lease)
            except _TakesNothing as nothing:
                lease.release()
                self._balancer.suspect(lease.slot)
                refusals += 1
                late = self._hold_until is None or self._loop.time() >= self._hold_until
                if (refusals >= REFUSALS and late) or not self._request.body.replayable:
                    answer = answers.SILENT if nothing.slow else answers.no_upstream(1)
                    raise Refused(answer, f"{name}: {nothing}") from nothing
                lease = await self._acquire()
                continue
            except UpstreamLost as lost:
                lease.release()
                if retried or lost.answered or not self._request.body.replayable:
                    raise Refused(answers.BROKEN, f"{name}: {lost}") from lost
                retried = True
                self._record.retries += 1
                # Without another one: this one, when it is back.
                lease = self._other(lease.slot) or await self._acquire()
                continue
            except UpstreamInvalid as invalid:
                lease.release()
                raise Refused(answers.BROKEN, f"{name}: {invalid}") from invalid
            except BaseException:
                lease.release()
                raise
            if exchange.head.status not in _ELSEWHERE or retried or not self._request.body.replayable:
                return exchange
            other = self._other(lease.slot)
            if other is None:
                return exchange  # the client gets this one's answer
            self._give_back(lease, exchange.connection)
            lease.release()
            lease, retried = other, True
            self._record.retries += 1

    async def relay(self, exchange: Exchange) -> None:
        """Forward an answer. Raises Refused when it is none or breaks off."""
        head, connection, client, record = exchange.head, exchange.connection, self._request.client, self._record
        finished = False
        try:
            record.status = head.status
            if head.status == 101 and not self._request.head.websocket:
                raise Refused(answers.BROKEN, f"{record.replica}: it switched protocols unasked")
            if self._request.head.http_1_0 and b"transfer-encoding" in head.by_name:
                raise Refused(answers.BROKEN, f"{record.replica}: it answered HTTP/1.0 in chunks")
            close = client.must_close(self._request) or head.status in _CLOSING or connection.until_close
            client.attach(connection)
            self._request.answered = True
            extra = self._extra(head, exchange.lease.slot)
            client.write(forward_response(head, connection=self._option(head, close=close), extra=extra))
            if head.status == 101:
                done = connection.tunnel()
                client.open_tunnel()
            else:
                done = connection.stream()
            await done
            finished = self._request.body.complete
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
                record.ttft = connection.first_byte_at - self._request.started
            if head.status < 500:
                self._balancer.answered(exchange.lease.slot, record.ttft)
            self._give_back(exchange.lease, connection, reusable=finished)
            exchange.lease.release()

    async def _acquire(self) -> Lease:
        """A place on a replica, perhaps after a wait. Raises Refused."""
        try:
            return await self._balancer.acquire(self._version, hold_until=self._hold_until)
        except NoReplica as none:
            answer = answers.NO_UPSTREAM if self._hold_until is None else answers.no_upstream(1)
            raise Refused(answer, none.reason) from none
        except RateLimited:
            raise Refused(answers.rate_limited(), "qpsPerReplica") from None

    def _other(self, slot: Slot) -> Lease | None:
        """A place on another replica, if there is one now."""
        try:
            return self._balancer.take(self._version, tried=(slot,))
        except RateLimited:
            return None

    async def _attempt(self, lease: Lease) -> Exchange:
        """Send the request to one replica and wait for the head of its answer.

        A kept connection that its replica closed in the same moment is replaced by a fresh one.
        Raises _TakesNothing, UpstreamLost, UpstreamInvalid, and Refused when it says nothing at all.
        """
        request, record = self._request, self._record
        record.version, record.replica = lease.slot.hash, lease.slot.endpoint.replica
        fresh = False
        while True:
            try:
                connection = await self._gateway.pool(lease.slot).connect(fresh=fresh)
            except OSError as error:  # TimeoutError is one
                slow = isinstance(error, TimeoutError)
                raise _TakesNothing(str(error) or "connecting took too long", slow=slow) from error
            try:
                body = request.body.attach(connection)
                request.client.resume_upload()
                head = await self._answer(connection.begin(request.head.method, self._raw_head + body, request.client))
                if _is_not_ready(head):
                    raise _TakesNothing("it is not ready")
                return Exchange(lease, connection, head)
            except UpstreamLost as lost:
                self._give_back(lease, connection)
                if fresh or lost.answered or not connection.reused or not request.body.replayable:
                    raise
                fresh = True
            except BaseException:
                self._give_back(lease, connection)
                raise

    async def _answer(self, coming: asyncio.Future[ResponseHead]) -> ResponseHead:
        """The head of the answer. The request's own clock covers it; where none runs, a long one does."""
        limit = self._balancer.limits.request_seconds
        if limit > 0 and not self._request.head.websocket:
            return await coming
        seconds = limit or SILENT_SECONDS
        try:
            async with asyncio.timeout(seconds):
                return await coming
        except TimeoutError as error:
            raise Refused(answers.SILENT, f"{self._record.replica}: no answer within {seconds:g} s") from error

    def _give_back(self, lease: Lease, connection: ReplicaConnection, *, reusable: bool = False) -> None:
        """The exchange on this connection is over; no byte of the request goes there any more."""
        self._request.body.upstream = None
        connection.reusable = connection.reusable and reusable
        self._gateway.pool(lease.slot).give_back(connection)

    def _option(self, head: ResponseHead, *, close: bool) -> bytes:
        """The value of our `Connection` header."""
        if head.status == 101:
            return b"Upgrade"
        if close:
            return b"close"
        return b"keep-alive" if self._request.head.http_1_0 else b""

    def _extra(self, head: ResponseHead, slot: Slot) -> bytes:
        """The headers that every answer has, where the replica has not set them."""
        lines = b""
        if _VERSION not in head.by_name:
            lines += b"%s: %s\r\n" % (VERSION_HEADER.encode(), slot.hash.encode())
        if _REQUEST_ID not in head.by_name:
            lines += b"%s: %s\r\n" % (REQUEST_ID_HEADER.encode(), self._record.id)
        return lines


def _is_not_ready(head: ResponseHead) -> bool:
    """Whether a replica of ours said that it takes nothing: it drains since a moment ago, or is just starting."""
    length = b"%d" % len(answers.NO_UPSTREAM.body)
    return head.status == 503 and head.by_name.get(b"content-length") == length and _REPLICA in head.by_name
