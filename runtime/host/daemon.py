"""The life of one host process: lock, state, recovery, serving, and its two ways to end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from runtime.contract.code import host_code
from runtime.contract.host import KEEP
from runtime.host import logs
from runtime.host.api import serve
from runtime.host.commands import Commands
from runtime.host.folder import AlreadyRunning, Folder, Lock
from runtime.host.host import Host

PREDECESSOR_SECONDS = 10.0


async def run(
    folder: Folder, stack: str, commands: Commands, now: Callable[[], float] = time.time, *, unkept: bool = False
) -> None:
    """Serve until shut down or told to leave; raises AlreadyRunning, ForeignState or PermissionError at the start.

    `unkept`: whoever started this is still at it. If they die before they have written KEEP to stdin, no record of this
    host exists that could end it, so it ends itself.
    """
    host_code()  # of the files that this process was started from, whatever happens to them later
    folder.make()
    lock = Lock(folder.state)
    try:
        # A state folder that was deleted and made again has a new lock, but its old host may not have noticed yet.
        if not await _silent(folder.host_socket, PREDECESSOR_SECONDS):
            raise AlreadyRunning(f"another host still listens on {folder.host_socket}")
        folder.make()  # again: it may just have taken its sockets' folder away
        host = Host(folder, stack, commands, now)
        logs.log_to(folder.logs / "host.log")
        logs.note("host starts", pid=os.getpid(), stack=stack, state=str(folder.state))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, host.leave)
        await host.recover()
        birth = asyncio.create_task(_die_unkept(host)) if unkept else None
        async with serve(host):
            await host.run()
            if host.deleted:
                _take_away(folder.host_socket.parent)
        if birth is not None:
            birth.cancel()
        gone = not folder.database.exists()
        if not host.deleted:
            if gone:
                with contextlib.suppress(OSError):
                    folder.host_socket.parent.rmdir()
            else:
                folder.host_socket.unlink(missing_ok=True)
            # SQLite deletes the write-ahead log by its path when it closes: that of another host, were this deleted.
            host.store.close()
        logs.note("host ends", pid=os.getpid())
    except BaseException:
        lock.release()
        raise
    lock.release(delete=gone)


async def _die_unkept(host: Host) -> None:
    """Wait for stdin; shut down when it ends without a word."""
    readable = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), readable.set)
    await readable.wait()
    loop.remove_reader(sys.stdin.fileno())
    if os.read(sys.stdin.fileno(), len(KEEP)) != KEEP:
        logs.warn("whoever started this host is gone before its time")
        await host.shut_down()


def _take_away(sockets: Path) -> None:
    """Delete the folder of our sockets. From one moment to the next, for then another host may make its own there."""
    trash = sockets.with_name(f".{sockets.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        sockets.rename(trash)
        shutil.rmtree(trash)


async def _silent(path: Path, seconds: float) -> bool:
    """True once nobody listens on a unix socket, after at most so long."""
    end = time.monotonic() + seconds
    while True:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(path))
            except OSError:
                return True
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.1)
