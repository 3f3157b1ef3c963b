"""Keeps the gateway running: binds its socket, starts it, adopts it, starts it again when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
from collections.abc import Callable, Iterable
from dataclasses import replace

from runtime.contract.code import gateway_code
from runtime.contract.host import GatewaySettings, GatewayState
from runtime.host import logs
from runtime.host.bell import Bell
from runtime.host.commands import Commands, base_environment
from runtime.host.decide import backoff
from runtime.host.folder import Folder
from runtime.host.gateways import Reports
from runtime.host.listening import PortBusy, bind
from runtime.host.process import Child, Identity, adopt, command_line, spawn
from runtime.host.store import GatewayProcess, Store

STEADY_SECONDS = 3.0
"""A gateway that lived for so long is started again at once; one that dies sooner waits a little longer each time."""
EXIT_SECONDS = 35.0
"""A gateway that is told to exit finishes its requests; after so long it is killed."""


class GatewayKeeper:
    """One gateway process. The listening socket stays open here, so that a restart refuses no connection attempt."""

    def __init__(
        self,
        folder: Folder,
        store: Store,
        commands: Commands,
        reports: Reports,
        now: Callable[[], float],
        bell: Bell,
        wake: Callable[[], None],
    ) -> None:
        self._folder, self._store, self._commands, self._reports = folder, store, commands, reports
        self._now, self._bell, self._wake = now, bell, wake
        self._row = store.gateway
        self._listener: socket.socket | None = None
        self._child: Child | None = None
        self._leaving: list[Child] = []
        self._started_at = 0.0
        self._next_start = 0.0
        self._deaths = 0
        self._error = ""
        self._stopped = False

    @property
    def state(self) -> GatewayState:
        """Ready: its process lives, and it has reported under its nonce."""
        return GatewayState(
            settings=self._row.settings if self._row else None,
            pid=self._child.identity.pid if self._child else None,
            ready=self._child is not None and self._row is not None and self._reports.has(self._row.nonce),
            error=self._error,
        )

    @property
    def busy(self) -> bool:
        return self._row is not None and not self.state.ready

    def nonces(self) -> set[str]:
        """Of every gateway process that is ours, those on their way out included."""
        leaving = {child.identity.nonce for child in self._leaving}
        return leaving | ({self._row.nonce} if self._row else set())

    async def apply(self, settings: GatewaySettings) -> None:
        """Listen where the settings say; raises PortBusy, and then what was there before goes on."""
        row = self._row
        if row is not None:
            same_place = settings.host == row.settings.host and settings.port in (0, row.settings.port)
            if same_place:
                return self.step()
        try:
            listener = bind(settings)
        except PortBusy:
            if row is None or row.settings.port != settings.port or self._child is None:
                raise
            # Ours: the same port on another address. The old listener has to go first.
            await self._stop_child()
            listener = bind(settings)
        self._retire()
        self._listener, self._next_start, self._error = listener, 0.0, ""
        self._row = GatewayProcess(settings=settings.model_copy(update={"port": listener.getsockname()[1]}))
        self._store.put_gateway(self._row)
        self.step()

    def step(self) -> None:
        """Start the gateway when it should run and does not."""
        if self._row is None or self._child is not None or self._stopped or self._now() < self._next_start:
            return
        try:
            self._listener = self._listener or bind(self._row.settings)
        except PortBusy as error:
            if self._error != str(error):
                logs.warn("gateway cannot listen", reason=str(error))
            self._error, self._next_start = str(error), self._now() + 1.0
            return
        nonce = secrets.token_hex(8)
        self._keep(replace(self._row, code=gateway_code(), nonce=nonce, pid=0, start=0, boot=""))
        try:
            child = spawn(
                self._commands.gateway(self._folder.host_socket, self._listener.fileno(), nonce),
                nonce=nonce,
                environment=base_environment(os.environ),
                log=self._folder.logs / "gateway.log",
                folder=self._folder.state,
                fds=(self._listener.fileno(),),
            )
        except OSError as error:
            self._error = f"the gateway cannot be started: {error}"
            self._died()
            return
        found = child.identity
        self._keep(replace(self._row, nonce=nonce, pid=found.pid, start=found.start, boot=found.boot))
        logs.note("gateway started", pid=found.pid, host=self._row.settings.host, port=self._row.settings.port)
        self._track(child)

    def _keep(self, row: GatewayProcess) -> None:
        self._row = row
        self._store.put_gateway(row)

    def _track(self, child: Child) -> None:
        self._child, self._started_at, self._error = child, self._now(), ""
        asyncio.get_running_loop().add_reader(child.pidfd, self._exited, child)

    def _exited(self, child: Child) -> None:
        asyncio.get_running_loop().remove_reader(child.pidfd)
        reason = child.reap()
        logs.note("gateway ended", pid=child.identity.pid, how=reason)
        if child in self._leaving:
            self._leaving.remove(child)
        elif child is self._child:
            self._child = None
            self._reports.forget()
            if not self._stopped:
                tail = logs.tail(self._folder.logs / "gateway.log", 3)
                self._error = f"the gateway ended: {reason}; its log ends with: {' | '.join(tail)}"
            self._died()
        self._bell.ring()
        self._wake()

    def _died(self) -> None:
        self._deaths = 0 if self._now() - self._started_at >= STEADY_SECONDS else self._deaths + 1
        self._next_start = self._now() + (backoff(self._deaths - 1) if self._deaths > 1 else 0.0)

    def _retire(self) -> None:
        """Let the old gateway finish its requests on the old place."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._child is not None:
            self._child.send(signal.SIGTERM)
            self._leaving.append(self._child)
            self._child = None
        self._reports.forget()

    async def _stop_child(self) -> None:
        self._retire()
        if not await self._bell.until(lambda: not self._leaving, EXIT_SECONDS):
            for child in self._leaving:
                child.kill()
            await self._bell.until(lambda: not self._leaving, 5)

    async def stop(self) -> None:
        """End the gateway and close its port."""
        self._stopped = True
        await self._stop_child()

    def kill(self) -> None:
        """SIGKILL, and no restart."""
        self._stopped = True
        for child in [*self._leaving, *([self._child] if self._child else [])]:
            child.kill()

    def recover(self, scanned: Iterable[Identity]) -> set[str]:
        """Adopt the gateway that an earlier host started; returns its nonce when it still runs."""
        if self._row is None or not self._row.nonce:
            return set()
        by_nonce = {identity.nonce: identity for identity in scanned}
        identity = self._row.identity or by_nonce.get(self._row.nonce)
        child = adopt(identity) if identity else None
        if child is None:
            return set()
        found = child.identity
        self._keep(replace(self._row, pid=found.pid, start=found.start, boot=found.boot))
        self._listener = _listener_of(child)
        logs.note("gateway adopted", pid=found.pid, listener=self._listener is not None)
        self._track(child)
        if self._row.code != gateway_code():
            # It may not understand our views. Its successor listens on the same socket while it finishes its requests.
            logs.note("gateway replaced: its code is another", pid=found.pid)
            listener, self._listener = self._listener, None
            self._retire()
            self._listener = listener
        return {found.nonce}

    def leave(self) -> None:
        """Let go of the gateway; it runs on."""
        for child in [*self._leaving, *([self._child] if self._child else [])]:
            asyncio.get_running_loop().remove_reader(child.pidfd)
            child.close()
        if self._listener is not None:
            self._listener.close()


def _listener_of(child: Child) -> socket.socket | None:
    """The listening socket of an adopted gateway, so that its restart refuses nobody; None: bind anew then."""
    arguments = command_line(child.identity.pid)
    with contextlib.suppress(ValueError, IndexError, OSError):
        copy = child.borrow(int(arguments[arguments.index("--fd") + 1]))
        if copy is not None:
            listener = socket.socket(fileno=copy)
            if listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                return listener
            listener.close()
    return None
