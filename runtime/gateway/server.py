"""The gateway's process: listens, follows the host, drains on SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from runtime.gateway.client import ClientConnection, Timeouts
from runtime.gateway.gateway import Gateway
from runtime.gateway.internal import Internal
from runtime.gateway.proxy import Proxy

BACKLOG = 4096
SHUT_SECONDS = 2.0  # for the last words of requests that were cut
UNREAD_BODY_LIMIT = 64 * 1024 * 1024  # until the service is known
_logger = logging.getLogger(__name__)


class Server:
    """Accepts clients for a gateway."""

    def __init__(self, gateway: Gateway, *, timeouts: Timeouts | None = None) -> None:
        self.gateway = gateway
        self.connections: set[ClientConnection] = set()
        self._nobody = asyncio.Event()
        self._nobody.set()
        self._loop = asyncio.get_running_loop()
        self._timeouts = timeouts or Timeouts()
        self._proxy = Proxy(gateway, self._loop, Internal(gateway).answer)
        self._listening: asyncio.Server | None = None

    def connection(self) -> ClientConnection:
        """A protocol for a new client."""
        connection = ClientConnection(
            self._loop, self._proxy.start, self._lost, timeouts=self._timeouts, body_limit=UNREAD_BODY_LIMIT
        )
        self.connections.add(connection)
        self._nobody.clear()
        return connection

    async def listen(self, listening: socket.socket) -> None:
        """Accept on a bound socket."""
        self._listening = await self._loop.create_server(self.connection, sock=listening, backlog=BACKLOG)

    async def drain(self, seconds: float) -> None:
        """Accept nobody, end what runs, cut what has not ended after `seconds`."""
        self.gateway.stop()
        if self._listening is not None:
            self._listening.close()
        for connection in list(self.connections):
            connection.drain()
        if await self._empty_within(seconds):
            return
        if seconds:
            _logger.warning("%d connections did not end within %g s", len(self.connections), seconds)
        for connection in list(self.connections):
            connection.shut()
        await self._empty_within(SHUT_SECONDS)

    async def _empty_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._nobody.wait()
        except TimeoutError:
            return False
        return True

    def _lost(self, connection: ClientConnection) -> None:
        self.connections.discard(connection)
        if not self.connections:
            self._nobody.set()


@asynccontextmanager
async def serving(
    gateway: Gateway, listening: socket.socket, timeouts: Timeouts | None = None
) -> AsyncIterator[Server]:
    """A server that is cut at the end, for tests."""
    server = Server(gateway, timeouts=timeouts)
    await server.listen(listening)
    try:
        yield server
    finally:
        await server.drain(0)


async def run(
    gateway: Gateway,
    listening: socket.socket,
    source: asyncio.Task[None],
    *,
    drain_seconds: float,
    drain_delay: float = 0.0,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain. `source` brings the views; its failure ends the process.

    `drain_delay`: so long this gateway still accepts, but says that it is not ready, until load balancers know.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = Server(gateway)
    log = asyncio.create_task(gateway.records.run())
    stopping = asyncio.create_task(stop.wait())
    viewed = asyncio.create_task(gateway.viewed.wait())
    # A restarted gateway that knows no service yet would answer 404: clients wait in the socket's backlog instead.
    await asyncio.wait({stopping, source, viewed}, return_when=asyncio.FIRST_COMPLETED)
    if viewed.done():
        await server.listen(listening)
        _logger.info("listening on %s", listening.getsockname())
        await asyncio.wait({stopping, source}, return_when=asyncio.FIRST_COMPLETED)
        gateway.stop()
        if not source.done():
            await asyncio.wait({source}, timeout=drain_delay)
    await server.drain(drain_seconds)
    for task in (stopping, log, viewed):
        task.cancel()
    await asyncio.to_thread(gateway.records.flush)
    if source.done():
        source.result()
    source.cancel()
