"""Scripted replicas, and a gateway in front of them, all in the test's own event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from runtime.contract.host import Endpoint, GatewayView, ServiceView
from runtime.contract.replica import Limits
from runtime.contract.route import RouteTable, RouteVersion
from runtime.gateway.client import Timeouts
from runtime.gateway.gateway import Gateway
from runtime.gateway.record import Records
from runtime.gateway.server import Server, serving

TOKEN = "YWJjZGVmMDEyMw=="
AUTH = b"Authorization: " + TOKEN.encode() + b"\r\n"
HANDSHAKE = (
    b"GET /api/predict/chat HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
Script = Callable[["Connection"], Awaitable[None]]


class Connection:
    """One connection to a scripted replica."""

    def __init__(self, replica: Replica, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.replica = replica
        self.reader = reader
        self.writer = writer
        self.last = b""

    async def head(self) -> bytes:
        """The next request's head; raises IncompleteReadError at the end of the connection."""
        self.last = await self.reader.readuntil(b"\r\n\r\n")
        self.replica.heads.append(self.last)
        return self.last

    async def body(self) -> bytes:
        """The body that the last head announced, raw."""
        for line in self.last.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                return await self.reader.readexactly(int(line.partition(b":")[2]))
            if line == b"transfer-encoding: chunked":
                return await self.reader.readuntil(b"0\r\n\r\n")
        return b""

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, body: bytes = b"ok", *, status: bytes = b"200 OK", headers: bytes = b"") -> None:
        await self.send(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n%s" % (status, len(body), headers, body))


async def answering(connection: Connection) -> None:
    """The well-behaved replica: answers every request with its own name."""
    while True:
        await connection.head()
        await connection.body()
        await connection.answer(connection.replica.name.encode())


async def silent(connection: Connection) -> None:
    await connection.head()
    await connection.reader.read()


async def resetting(connection: Connection) -> None:
    await connection.head()
    await connection.body()


async def queue_full(connection: Connection) -> None:
    await connection.head()
    await connection.body()
    await connection.answer(b'{"code":"QueueFull"}', status=b"450 Queue Full", headers=b"Connection: close\r\n")


async def draining(connection: Connection) -> None:
    await connection.head()
    await connection.body()
    await connection.answer(
        b"no healthy upstream", status=b"503 Service Unavailable", headers=b"X-Inferform-Replica: r\r\n"
    )


async def swallowing(connection: Connection) -> None:
    while await connection.reader.read(1 << 16):
        pass


async def counting(connection: Connection) -> None:
    while True:
        await connection.head()
        await connection.answer(str(len(await connection.body())).encode())


async def echoing_socket(connection: Connection) -> None:
    await connection.head()
    await connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello")
    while data := await connection.reader.read(1000):
        await connection.send(data)


class Replica:
    """A scripted replica on a unix socket."""

    def __init__(self, name: str, folder: Path, script: Script = answering) -> None:
        self.name = name
        self.path = folder / f"{name}.sock"
        self.script = script
        self.heads: list[bytes] = []
        self.connections = 0
        self.sent = 0
        self.closed = asyncio.Event()  # some connection has ended
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> Replica:
        self._server = await asyncio.start_unix_server(self._accept, self.path, limit=1 << 24)
        return self

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            self.path.unlink(missing_ok=True)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def endpoint(self, *, ready: bool = True, draining: bool = False) -> Endpoint:
        return Endpoint(replica=self.name, address=f"unix:{self.path}", ready=ready, draining=draining)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self.script(Connection(self, reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            self.closed.set()
            writer.close()


def view_of(
    endpoints: Mapping[str, Sequence[Endpoint]],
    *,
    service: str = "chat",
    weights: Mapping[str, int] | None = None,
    routed: bool = True,
    revision: int = 1,
    limits: Mapping[str, Any] | None = None,
    **table: Any,
) -> GatewayView:
    """A view of one service. A version's hash is its name in upper case; the first one has all the weight."""
    weights = weights if weights is not None else dict.fromkeys(endpoints, 0) | dict.fromkeys(list(endpoints)[:1], 100)
    route = RouteTable(
        service=service,
        generation=revision,
        versions={name: RouteVersion(hash=name.upper(), weight=weight) for name, weight in weights.items()},
        limits=Limits(**({"hold_seconds": 5.0} | dict(limits or {}))),
        **table,
    )
    chat = ServiceView(
        table=route if routed else None,
        tokens=(TOKEN,),
        endpoints={name.upper(): tuple(each) for name, each in endpoints.items()},
    )
    return GatewayView(incarnation="i", revision=revision, services={service: chat})


class Front:
    """A gateway that listens, and clients of it."""

    def __init__(self, server: Server, port: int) -> None:
        self.server = server
        self.gateway = server.gateway
        self.port = port

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def raw(self, data: bytes) -> bytes:
        """Send bytes and read until the gateway closes."""
        reader, writer = await self.connect()
        writer.write(data)
        try:
            return await asyncio.wait_for(reader.read(-1), 10)
        finally:
            writer.close()

    async def request(
        self,
        method: str = "POST",
        path: str = "/api/predict/chat",
        body: bytes = b"",
        *,
        token: str | None = TOKEN,
        headers: bytes = b"",
    ) -> tuple[int, bytes, bytes]:
        """One request on a connection of its own: status, head, body."""
        lines = f"{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n".encode() + headers
        if token is not None:
            lines += b"Authorization: %s\r\n" % token.encode()
        if body:
            lines += b"Content-Length: %d\r\n" % len(body)
        answer = await self.raw(lines + b"\r\n" + body)
        head, _, rest = answer.partition(b"\r\n\r\n")
        return int(head[9:12]), head, rest

    def in_flight(self) -> int:
        return sum(
            sum(each.in_flight_by_replica().values()) + each.in_flight for each in self.gateway.services.values()
        )


@asynccontextmanager
async def fronting(view: GatewayView | None, timeouts: Timeouts | None = None) -> AsyncIterator[Front]:
    """A gateway that serves `view`; at its end every count must be back at zero."""
    gateway = Gateway("test", asyncio.get_running_loop(), Records())
    if view is not None:
        gateway.apply(view)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    async with serving(gateway, listening, timeouts) as server:
        front = Front(server, listening.getsockname()[1])
        yield front
    assert front.in_flight() == 0
    assert gateway.in_flight() == 0


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> bytes:
    """Send on a kept connection and read one answer with a known length."""
    writer.write(data)
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    return head + await reader.readexactly(int(length[15:]))


def post(body: bytes = b"", *, lines: bytes = b"", path: bytes = b"/api/predict/chat") -> bytes:
    head = b"POST " + path + b" HTTP/1.1\r\nHost: t\r\n" + AUTH + lines
    return head + (b"Content-Length: %d\r\n\r\n" % len(body) if body else b"\r\n") + body


async def until(condition: Callable[[], object]) -> None:
    """Wait until something in this process is so; the test's own time-out ends a vain wait."""
    while not condition():  # noqa: ASYNC110 - the conditions are plain counts of the code under test, without events
        await asyncio.sleep(0.001)
