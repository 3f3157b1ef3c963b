"""The life of one host process: lock, state, recovery, serving, and its two ways to end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable

from runtime.host import logs
from runtime.host.api import serve
from runtime.host.commands import Commands
from runtime.host.folder import AlreadyRunning, Folder, Lock
from runtime.host.host import Host


async def run(folder: Folder, stack: str, commands: Commands, now: Callable[[], float] = time.time) -> None:
    """Serve until shut down or told to leave; raises AlreadyRunning, ForeignState or PermissionError at the start."""
    folder.make()
    lock = Lock(folder.state)
    try:
        # A state folder that was deleted and made again has a new lock, but its old host may not have noticed yet.
        if _answers(str(folder.host_socket)):
            raise AlreadyRunning(f"another host still listens on {folder.host_socket}; it ends in a few seconds")
        host = Host(folder, stack, commands, now)
        logs.log_to(folder.logs / "host.log")
        logs.note("host starts", pid=os.getpid(), stack=stack, state=str(folder.state))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, host.leave)
        await host.recover()
        async with serve(host):
            await host.run()
        gone = not folder.database.exists()
        if not gone:
            folder.host_socket.unlink(missing_ok=True)
            host.store.close()
        logs.note("host ends", pid=os.getpid())
    except BaseException:
        lock.release()
        raise
    lock.release(delete=gone)
    if gone:
        with contextlib.suppress(OSError):
            folder.host_socket.parent.rmdir()


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True
