"""The gateway's listening socket, and who holds a port that is busy."""

from __future__ import annotations

import errno
import socket

import psutil

from runtime.contract.host import GatewaySettings

BACKLOG = 1024
"""Connections that wait while a gateway restarts; the kernel caps it at net.core.somaxconn."""


class PortBusy(RuntimeError):
    """The address cannot be bound; the text names the process that holds it where that can be known."""


def bind(settings: GatewaySettings) -> socket.socket:
    """A listening TCP socket; raises PortBusy. Port 0 takes a free one."""
    try:
        family, _, _, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise PortBusy(f"gateway.host: {settings.host!r} is no address of this machine: {error.strerror}") from None
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        where = f"{settings.host}:{settings.port}"
        if error.errno == errno.EADDRINUSE:
            raise PortBusy(f"gateway.port: {where} is held by {holder(settings.port)}; choose another port") from None
        raise PortBusy(f"gateway: {where} cannot be bound: {error.strerror}") from None
    return listener


def holder(port: int) -> str:
    """The process that listens on a TCP port, as `process 123 (its command line)`."""
    for connection in psutil.net_connections("tcp"):
        if connection.status != psutil.CONN_LISTEN or not connection.laddr or connection.laddr.port != port:
            continue
        if connection.pid is None:
            return "a process of another user"
        try:
            command = " ".join(psutil.Process(connection.pid).cmdline())[:120]
        except psutil.Error:
            command = "command unknown"
        return f"process {connection.pid} ({command})"
    return "a process that cannot be seen from here"
