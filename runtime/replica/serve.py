"""The life of a replica's process: listen at once, start the engine beside it, drain on SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress

from aiohttp import web

from runtime.binding import bound
from runtime.contract.phases import Phase
from runtime.contract.replica import Listen, ReplicaSpec
from runtime.replica.app import App
from runtime.replica.replica import Replica
from runtime.replica.settings import SettingsFile
from runtime.replica.termination import say_why

log = logging.getLogger(__name__)

BACKLOG = 1024
FAILURE_SECONDS = 2.0
"""How long a failed replica waits for somebody to read why, before it exits."""
BREAK_OFF_SECONDS = 1.0
"""How long a start may take to break off; what it was in the middle of ends with the process."""
LINGER_SECONDS = 3.0
"""A pod's address is gone with it: until every gateway has heard that it ends, an answer "not me" saves a time-out."""


async def serve(
    spec: ReplicaSpec,
    settings: SettingsFile,
    *,
    listening: Callable[[str], None] | None = None,
    leave: Callable[[int], None] | None = None,
) -> int:
    """Run one replica until SIGTERM, SIGINT or a failed start; returns the exit code. `listening` gets the address.

    `leave` ends the process with an exit code when a start was broken off: its threads would hold up a usual end.
    """
    replica = Replica(spec, settings)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    runner = web.ServerRunner(App(replica).server(), shutdown_timeout=0.5)
    await runner.setup()
    try:
        listener = open_socket(spec.listen)
    except OSError as error:
        log.error("cannot listen on %s: %s", spec.listen.socket or f"{spec.listen.host}:{spec.listen.port}", error)
        say_why(Phase.IMAGE, f"cannot listen: {error}")
        await runner.cleanup()
        return 1
    await web.SockSite(runner, listener, backlog=BACKLOG).start()
    address = address_of(listener)
    log.info("listening on %s", address)
    if listening is not None:
        listening(address)
    code, broken_off = 0, False
    starting = asyncio.create_task(replica.start())
    stop = asyncio.create_task(stopping.wait())
    await asyncio.wait((starting, stop), return_when=asyncio.FIRST_COMPLETED)
    if starting.done() and not starting.result():
        code = 1
        failed = replica.status()
        say_why(failed.detail, failed.error)
        with suppress(TimeoutError):
            await asyncio.wait_for(replica.failure_seen.wait(), FAILURE_SECONDS)
    elif not starting.done():
        log.info("ends before it was ready")
        replica.drain()
        starting.cancel()
        await asyncio.wait({starting}, timeout=BREAK_OFF_SECONDS)
        broken_off = True
    else:
        watching = asyncio.create_task(replica.watch_documents())
        await stop
        watching.cancel()
        await drain(replica, spec.template.drain_seconds, linger=LINGER_SECONDS if settings.in_pod else 0.0)
    stop.cancel()
    await runner.cleanup()
    await replica.stop()
    if spec.listen.socket is not None:
        with suppress(FileNotFoundError):
            os.unlink(spec.listen.socket)
    log.info("stopped")
    if broken_off and leave is not None:
        leave(code)
    return code


async def drain(replica: Replica, seconds: float, *, linger: float = 0.0) -> None:
    """Take no new work; wait until what runs is finished, for at most `seconds`, and for at least `linger`."""
    replica.drain()
    leaves_at = asyncio.get_running_loop().time() + min(linger, seconds)
    log.info("draining %d requests for at most %g s", replica.in_flight, seconds)
    try:
        async with asyncio.timeout(seconds):
            await replica.idle.wait()
    except TimeoutError:
        log.warning("%d requests were cut off after %g s", replica.in_flight, seconds)
    await asyncio.sleep(max(0.0, leaves_at - asyncio.get_running_loop().time()))


def open_socket(listen: Listen) -> socket.socket:
    """Bind, not yet listen. A unix socket is 0600 from its first moment; a stale one of this path is replaced."""
    if listen.socket is None:
        return bound(listen.host, listen.port)
    with suppress(FileNotFoundError):
        os.unlink(listen.socket)
    unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    previous = os.umask(0o177)
    try:
        unix.bind(listen.socket)
    except OSError:
        unix.close()
        raise
    finally:
        os.umask(previous)
    return unix


def address_of(listener: socket.socket) -> str:
    """`unix:/path` or `http://host:port`, as gateways write it."""
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return f"unix:{name}"
    host, port = name[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
