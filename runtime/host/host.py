"""The host: desired state, processes and view of one stack, kept in step."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace

from runtime.contract import wanted
from runtime.contract.code import host_code
from runtime.contract.desired import Version
from runtime.contract.host import Drift, GatewayReport, HostInfo, VersionState
from runtime.contract.names import CONTRACT_VERSION
from runtime.contract.route import RouteTable
from runtime.contract.settings import service_settings
from runtime.contract.view import build_services
from runtime.host import logs
from runtime.host.bell import Bell
from runtime.host.commands import Commands
from runtime.host.folder import Folder, ForeignState, machine_id
from runtime.host.gateway_keeper import GatewayKeeper
from runtime.host.gateways import Reports
from runtime.host.leftovers import sweep_mounts, wanted_mounts
from runtime.host.process import Identity, adopt, scan
from runtime.host.replicas import Replicas
from runtime.host.settings import SettingsFiles
from runtime.host.store import Store
from runtime.host.view import View

IDLE_SECONDS = 1.0
BUSY_SECONDS = 0.1
CHORES_SECONDS = 30.0
FIRST_ANSWER_SECONDS = 1.0


class Host:
    """One incarnation of the supervisor of one state folder. Used from one event loop."""

    def __init__(self, folder: Folder, stack: str, commands: Commands, now: Callable[[], float]) -> None:
        """Open the state; raises ForeignState when it belongs to another machine or stack."""
        self.folder, self.stack, self.now = folder, stack, now
        self.incarnation = secrets.token_hex(8)
        self.store = Store(folder.database)
        self._claim("machine", machine_id(), "machine")
        self._claim("stack", stack, "stack")
        self.bell = Bell()
        self._wake = asyncio.Event()
        self.reports = Reports(self.incarnation, time.monotonic)
        self.view = View(self.incarnation)
        self.settings = SettingsFiles(folder.settings)
        self.replicas = Replicas(folder, self.store, commands, self.reports, now, self.wake)
        self.gateway = GatewayKeeper(folder, self.store, commands, self.reports, now, self.bell, self.wake)
        self.deleted = False  # the state folder, by somebody else
        self.stopping = False  # no new processes, watchers end
        self.finished = asyncio.Event()
        self._next_chores = 0.0

    def _claim(self, key: str, mine: str, what: str) -> None:
        theirs = self.store.get(key)
        if theirs is not None and theirs != mine:
            self.store.close()
            text = f"{self.folder.state} is the state of {what} {theirs}, this is {what} {mine}"
            raise ForeignState(f"{text}; use another folder, or delete it if nothing of it runs")
        self.store.put(key, mine)

    # Life ----------------------------------------------------------------------------------------------------------
    async def recover(self) -> None:
        """Adopt what an earlier host left running; end what ran in our name and that no record knows."""
        found = list(scan(self._marks()))
        known = self.replicas.recover(found) | self.gateway.recover(found)
        self._end_strangers([identity for identity in found if identity.nonce not in known])
        # Without an answer an adopted replica would count as not ready in the first view, and requests would wait.
        await self.replicas.all_asked(FIRST_ANSWER_SECONDS)
        self.step()

    def _marks(self) -> list[str]:
        return [f"{self.folder.specs}/", str(self.folder.host_socket)]

    def _end_strangers(self, strangers: list[Identity]) -> None:
        for identity in strangers:
            if (child := adopt(identity)) is not None:
                logs.warn("stray process killed", pid=identity.pid)
                child.kill()
                child.close()

    async def run(self) -> None:
        """Keep everything in step until `finished`."""
        while not self.finished.is_set():
            if not self.stopping:
                try:
                    self.step()
                    await self._chores()
                except (sqlite3.Error, OSError):
                    # A full disk, say. What runs goes on; this host looks again until it can write.
                    logs.log.exception("a step failed")
            seconds = BUSY_SECONDS if self.replicas.busy or self.gateway.busy else IDLE_SECONDS
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), seconds)
            self._wake.clear()

    def wake(self) -> None:
        """Something changed: look soon."""
        self._wake.set()

    def step(self) -> None:
        """Bring processes, settings and view in line with what is wanted now. Never waits."""
        if self.stopping:
            self.bell.ring()
            return
        now, routes, tokens = self.now(), self.store.routes(), self.store.tokens()
        versions = self.store.versions()
        services = {version.record.service for version in versions} | set(routes)
        for service in services:
            self.settings.update(service, service_settings(routes.get(service), tokens.get(service), now))
        self.settings.keep_only(services)

        for version in versions:
            self._step_version(version, routes.get(version.record.service), now)
        versions = self.store.versions()
        if self.view.update(build_services(versions, routes, tokens, self.replicas.endpoints(), now)):
            self.wake()
        self.replicas.view_published(self.view.current.revision)
        self.gateway.step()
        self.bell.ring()

    def _step_version(self, version: Version, route: RouteTable | None, now: float) -> None:
        aged = wanted.aged(version, route, now)
        if aged != version:
            if aged.swept and not version.swept:
                logs.warn("orphan swept", service=version.record.service, version=version.record.hash)
            self.store.put_version(aged)
        count = wanted.wanted(aged, route, now)
        self.replicas.reconcile(aged, count)
        latest = self.store.version(*version.key)
        if latest is not None and latest.failure is not None and count and self.replicas.all_ready(version.key, count):
            self.store.put_version(replace(latest, failure=None))
        if aged.deleting and not self.replicas.of(version.key):
            self._forget(aged)

    def _forget(self, version: Version) -> None:
        service, digest = version.key
        self.store.delete_version(service, digest)
        for path in (self.folder.logs / service).glob(f"{service}-{digest}-*.log*"):
            path.unlink()
        logs.note("version forgotten", service=service, version=digest)

    async def _chores(self) -> None:
        if not self.folder.database.exists():
            # Somebody deleted the state folder under us: nothing that it wanted is wanted any more.
            logs.warn("the state folder is gone: everything ends")
            self.deleted = True
            self.replicas.kill_all()
            self.gateway.kill()
            self.leave()
            return
        if self.now() < self._next_chores:
            return
        self._next_chores = self.now() + CHORES_SECONDS
        await asyncio.to_thread(logs.rotate_all, self.folder.logs)
        kept = wanted_mounts([version.record for version in self.store.versions()], self.replicas.names())
        for gone in await asyncio.to_thread(sweep_mounts, self.folder.state / "data", kept):
            logs.note("mount that no version names deleted", folder=str(gone.relative_to(self.folder.state)))
        # A host that was killed between fork and exec leaves a process that its successor's first look cannot see.
        found = await asyncio.to_thread(lambda: list(scan(self._marks())))
        known = self.replicas.nonces() | self.gateway.nonces()
        self._end_strangers([identity for identity in found if identity.nonce not in known])

    async def shut_down(self) -> None:
        """End every process, delete what is ours, and finish."""
        logs.note("shutting down")
        self.stopping = True
        self.bell.ring()
        await self.gateway.stop()
        longest = max((version.record.template.drain_seconds for version in self.store.versions()), default=0)
        self.replicas.terminate_all()
        if not await self.bell.until(lambda: self.replicas.count == 0, longest + 5):
            self.replicas.kill_all()
            await self.bell.until(lambda: self.replicas.count == 0, 5)
        self.store.close()
        self.folder.remove()
        self.finished.set()

    def leave(self) -> None:
        """Exit without touching a process."""
        self.stopping = True
        self.replicas.leave()
        self.gateway.leave()
        self.bell.ring()
        self.finished.set()
        self.wake()

    # What it knows -------------------------------------------------------------------------------------------------
    def info(self, pid: int) -> HostInfo:
        """GET /v1/host."""
        return HostInfo(
            contract=CONTRACT_VERSION,
            stack=self.stack,
            state_folder=str(self.folder.state),
            pid=pid,
            incarnation=self.incarnation,
            epoch=self.store.epoch,
            gateway=self.gateway.state,
            code=host_code(),
        )

    def version_state(self, version: Version) -> VersionState:
        """A version as the admin API shows it."""
        route, now = self.store.routes().get(version.record.service), self.now()
        return VersionState(
            record=version.record,
            wanted=wanted.wanted(version, route, now),
            replicas=self.replicas.states(version.key),
            failure=version.failure,
            routed=wanted.is_routed(version, route),
            leased=wanted.is_leased(version, now),
            orphan_since=version.orphan_since,
            because=version.because,
        )

    def drift(self) -> list[Drift]:
        """Versions that nothing names for longer than the sweep allows."""
        found = []
        for version in self.store.versions():
            if version.orphan_since is None or self.now() < version.orphan_since + wanted.ORPHAN_SECONDS:
                continue
            service, digest = version.key
            minutes = int((self.now() - version.orphan_since) / 60)
            text = f"version {version.record.name} ({digest}) of {service}: scaled to zero, for {minutes} minutes"
            found.append(Drift(service=service, hash=digest, text=f"{text} no route and no rollout has named it"))
        return found

    def take_report(self, report: GatewayReport) -> None:
        """A gateway's report: who waits for what it has applied may go on."""
        self.reports.add(report)
        self.wake()
        self.bell.ring()
