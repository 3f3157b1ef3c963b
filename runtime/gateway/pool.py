"""The connections to one replica, kept alive between requests."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from runtime.gateway.upstream import ReplicaConnection

CONNECT_SECONDS = 5.0
IDLE_SECONDS = 30.0
"""An idle connection is closed after this long, before a replica's own keep-alive time ends."""
IDLE_CONNECTIONS = 64
"""Idle connections kept per replica."""


class ReplicaPool:
    """Connections to one replica's address: unix:/path or http://host:port."""

    def __init__(self, address: str, loop: asyncio.AbstractEventLoop) -> None:
        self.address = address
        self._loop = loop
        self._idle: list[ReplicaConnection] = []
        self._path, self._host, self._port = parse_address(address)

    def kept(self) -> ReplicaConnection | None:
        """An idle connection, the youngest first; None when there is none."""
        now = self._loop.time()
        while self._idle:
            connection = self._idle.pop()
            if connection.open and now - connection.idle_since < IDLE_SECONDS:
                connection.reused = True
                return connection
            connection.abort()
        return None

    async def connect(self, *, fresh: bool = False) -> ReplicaConnection:
        """An idle connection or a new one. Raises OSError and TimeoutError."""
        if not fresh and (connection := self.kept()) is not None:
            return connection
        made = ReplicaConnection(self._loop)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                if self._path:
                    await self._loop.create_unix_connection(lambda: made, self._path)
                else:
                    await self._loop.create_connection(lambda: made, self._host, self._port)
        except BaseException:
            made.abort()  # it may have been made in the very moment of giving up
            raise
        return made

    def give_back(self, connection: ReplicaConnection) -> None:
        """Keep a connection whose exchange has ended well; close any other."""
        connection.detach()
        if connection.reusable and connection.open and len(self._idle) < IDLE_CONNECTIONS:
            connection.idle_since = self._loop.time()
            self._idle.append(connection)
        else:
            connection.abort()

    def sweep(self) -> None:
        """Close what has been idle for too long."""
        oldest = self._loop.time() - IDLE_SECONDS
        kept = []
        for connection in self._idle:
            if connection.open and connection.idle_since > oldest:
                kept.append(connection)
            else:
                connection.abort()
        self._idle = kept

    def close(self) -> None:
        """Close all idle connections; those in use end with their requests."""
        for connection in self._idle:
            connection.abort()
        self._idle = []


def parse_address(address: str) -> tuple[str, str, int]:
    """(socket path, host, port) of `unix:/path` (no host) or `http://host:port` (no path). Raises ValueError."""
    if address.startswith("unix:/"):
        return address.removeprefix("unix:"), "", 0
    parts = urlsplit(address)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"endpoint {address!r}: expected unix:/path or http://host:port")
    return "", parts.hostname, parts.port or 80
