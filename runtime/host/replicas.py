"""The replicas' processes: starts, adopts, watches and stops them, as `decide` says."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from runtime.contract.desired import Version
from runtime.contract.host import Endpoint, ReplicaState, VersionFailure
from runtime.contract.phases import Phase
from runtime.contract.replica import ReplicaStatus
from runtime.host import decide as rules
from runtime.host import logs
from runtime.host.checker import Checker
from runtime.host.commands import Commands
from runtime.host.folder import Folder
from runtime.host.gateways import Reports
from runtime.host.launch import Launcher, NoGpu
from runtime.host.probe import Probe
from runtime.host.process import Child, Identity, adopt, boot_id, end_session
from runtime.host.shown import endpoint, phase_of, replica_state
from runtime.host.store import Slot, Store

STEADY_SECONDS = 60.0
"""A replica that was ready for so long starts its back-off from the beginning when it dies."""
FAILED_GRACE_SECONDS = 5.0
"""A replica that says that it failed exits by itself; after so long it is killed."""
LOG_LINES = 30
GPU_SECONDS = 1.0
"""A replica that waits for a GPU looks again after so long."""


@dataclass
class Running:
    """A living process in a slot."""

    child: Child
    probe: Probe
    checker: Checker
    log_start: int = 0  # bytes in its log before it started
    drain_revision: int | None = None  # of the first view that says that it drains
    killed_for: str = ""
    ending: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """It says so, and so do the checks of its version."""
        return self.probe.ready and self.checker.state.passed

    def dead(self) -> str:
        """Why its process must end; empty when it need not."""
        return self.probe.dead(FAILED_GRACE_SECONDS) or self.checker.state.dead

    def stop_asking(self) -> None:
        """It is nobody's business any more how it is."""
        self.probe.stop()
        self.checker.stop()

    @property
    def phase(self) -> Phase:
        """How far it is on its way to its first request."""
        status = self.probe.status
        return Phase.IMAGE if status is None else phase_of(status, self.checker.state)


class Replicas:
    """All slots of one host. Slots are written to the store before anything is done about them."""

    def __init__(
        self,
        folder: Folder,
        store: Store,
        commands: Commands,
        reports: Reports,
        now: Callable[[], float],
        wake: Callable[[], None],
    ) -> None:
        self._folder, self._store = folder, store
        self._reports, self._now, self._wake = reports, now, wake
        self._running: dict[str, Running] = {}
        self._slots: dict[str, Slot] = {slot.replica: slot for slot in store.slots()}
        self._launcher = Launcher(folder, commands)

    # Records -----------------------------------------------------------------------------------------------------
    def _put(self, slot: Slot) -> None:
        self._store.put_slot(slot)
        self._slots[slot.replica] = slot

    def _drop(self, replica: str) -> None:
        self._store.delete_slot(replica)
        del self._slots[replica]
        self._folder.spec(replica).unlink(missing_ok=True)

    def of(self, key: tuple[str, str]) -> list[Slot]:
        """The slots of one version by number."""
        return sorted((slot for slot in self._slots.values() if slot.key == key), key=lambda slot: slot.number)

    @property
    def busy(self) -> bool:
        """Time alone will soon ask for an action; what a process does wakes the host by itself."""
        soon = self._now() + 1.0
        return any(
            slot.stopping_since is not None or (not slot.nonce and slot.next_start < soon)
            for slot in self._slots.values()
        )

    def _is_ready(self, slot: Slot) -> bool:
        running = self._running.get(slot.replica)
        return running is not None and running.ready

    # What others see ---------------------------------------------------------------------------------------------
    def nonces(self) -> set[str]:
        """Of every process that belongs to a slot."""
        return {slot.nonce for slot in self._slots.values()}

    def names(self) -> set[str]:
        """Of all slots."""
        return set(self._slots)

    def states(self, key: tuple[str, str]) -> tuple[ReplicaState, ...]:
        """The replicas of a version, for the admin API."""
        found = []
        for slot in self.of(key):
            running = self._running.get(slot.replica)
            status, checks = (running.probe.status, running.checker.state) if running is not None else (None, None)
            state = replica_state(
                slot, running=running is not None, ready=self._is_ready(slot), status=status, checks=checks
            )
            found.append(state)
        return tuple(found)

    def endpoints(self) -> dict[tuple[str, str], tuple[Endpoint, ...]]:
        """Living replicas by version, for gateways."""
        living = [slot for slot in self._slots.values() if slot.replica in self._running]
        found: dict[tuple[str, str], tuple[Endpoint, ...]] = {}
        for slot in sorted(living, key=lambda slot: (slot.key, slot.number)):
            found[slot.key] = (*found.get(slot.key, ()), endpoint(slot, ready=self._is_ready(slot)))
        return found

    def view_published(self, revision: int) -> None:
        """The view of this revision says which replicas drain."""
        for replica, running in self._running.items():
            if self._slots[replica].stopping_since is not None and running.drain_revision is None:
                running.drain_revision = revision

    # Decisions ---------------------------------------------------------------------------------------------------
    def reconcile(self, version: Version, wanted: int) -> None:
        """Do what `decide` says about one version."""
        service, digest = version.key
        drain = version.record.template.drain_seconds
        desired = rules.Desired(service=service, hash=digest, wanted=wanted, drain_seconds=drain)
        for action in rules.decide(desired, [self._observe(slot) for slot in self.of(version.key)], self._now()):
            self._execute(action, version)

    def all_ready(self, key: tuple[str, str], wanted: int) -> bool:
        """True when as many replicas as wanted are ready."""
        ready = [slot for slot in self.of(key) if slot.stopping_since is None and self._is_ready(slot)]
        return len(ready) >= wanted

    def _observe(self, slot: Slot) -> rules.Observed:
        running = self._running.get(slot.replica)
        drained: bool | None = None
        applied = self._reports.revision()
        if running is not None and applied is not None:
            drained = running.drain_revision is not None and applied >= running.drain_revision
        elif self._store.gateway is None:
            drained = True  # there never was a gateway: nobody can have a request for it
        return rules.Observed(
            replica=slot.replica,
            number=slot.number,
            running=running is not None,
            ready=self._is_ready(slot),
            spawned_at=slot.spawned_at,
            next_start=slot.next_start,
            stopping_since=slot.stopping_since,
            terminated_at=slot.terminated_at,
            drained=drained,
            dead=running.dead() if running else "",
        )

    def _execute(self, action: rules.Action, version: Version) -> None:
        match action:
            case rules.Start(service, digest, number):
                slot = self._slots.get(f"{service}-{digest}-{number}")
                if slot is None:
                    slot = Slot(replica=f"{service}-{digest}-{number}", service=service, hash=digest, number=number)
                self._start(slot, version)
            case rules.Drain(replica):
                logs.note("replica drains", replica=replica)
                self._put(replace(self._slots[replica], stopping_since=self._now()))
            case rules.Undrain(replica):
                logs.note("replica is wanted again", replica=replica)
                self._running[replica].drain_revision = None
                self._put(replace(self._slots[replica], stopping_since=None))
            case rules.Terminate(replica):
                logs.note("replica told to exit", replica=replica, pid=self._slots[replica].pid)
                self._put(replace(self._slots[replica], terminated_at=self._now()))
                self._running[replica].child.send(signal.SIGTERM)
            case rules.Kill(replica, reason):
                logs.warn("replica killed", replica=replica, pid=self._slots[replica].pid, reason=reason)
                self._running[replica].killed_for = reason
                self._running[replica].child.kill()
            case rules.Forget(replica):
                self._drop(replica)

    # Start and end -----------------------------------------------------------------------------------------------
    def _start(self, slot: Slot, version: Version) -> None:
        taken = {gpu for other in self._slots.values() for gpu in other.gpus}
        try:
            slot = self._launcher.prepare(slot, version, taken, self._now())
        except NoGpu as error:
            since = slot.empty_since if slot.waits else self._now()
            waiting = replace(slot.emptied(), waits=str(error), empty_since=since)
            self._put(replace(waiting, next_start=self._now() + GPU_SECONDS))
            return
        log = self._folder.log(slot.service, slot.replica)
        log_start = log.stat().st_size if log.exists() else 0
        try:
            self._put(slot)  # before the spawn: a host that dies now finds the process again by its nonce
            child = self._launcher.launch(slot, version, log)
        except OSError as error:
            self._crashed(slot, f"the process cannot be started: {error}", Phase.SCHEDULE, log_start)
            return
        slot = replace(slot, pid=child.identity.pid, start=child.identity.start, boot=child.identity.boot)
        self._put(slot)
        logs.note("replica started", replica=slot.replica, pid=slot.pid)
        self._track(slot, child, log_start)

    def _track(self, slot: Slot, child: Child, log_start: int = 0) -> None:
        probe = Probe(slot.socket, self._now, self._wake)
        checker = self._checker(slot)
        self._running[slot.replica] = Running(child, probe, checker, log_start)
        asyncio.get_running_loop().add_reader(child.pidfd, self._exited, slot.replica)
        probe.start()
        checker.start()

    def _checker(self, slot: Slot) -> Checker:
        version = self._store.version(slot.service, slot.hash)

        def changed() -> None:
            known = self._slots.get(slot.replica)
            if known is not None and known.nonce == slot.nonce and known.checked != checker.state.passed:
                self._put(replace(known, checked=checker.state.passed))
            self._wake()

        checker = Checker(
            version.record.template.probes if version is not None else {},
            socket=slot.socket,
            environment=self._launcher.environment(slot, version) if version is not None else {},
            folder=self._folder.state,
            age=max(self._now() - slot.spawned_at, 0),
            passed_before=slot.checked,
            changed=changed,
        )
        return checker

    def _exited(self, replica: str) -> None:
        running = self._running[replica]
        asyncio.get_running_loop().remove_reader(running.child.pidfd)
        running.ending = asyncio.create_task(self._end(replica, running))

    async def _end(self, replica: str, running: Running) -> None:
        # Its last words may still be on their way: a replica that failed exits as soon as it has told us why.
        await running.probe.last_answer()
        running.stop_asking()
        slot = self._slots[replica]
        del self._running[replica]
        reason = running.child.reap()
        _unlink(slot.socket)
        logs.note("replica ended", replica=replica, pid=slot.pid, how=reason)
        if slot.stopping_since is not None:
            self._drop(replica)
        else:
            status = running.probe.status
            ready_for = self._now() - running.probe.ready_since if running.probe.ready_since is not None else 0.0
            if ready_for >= STEADY_SECONDS:
                slot = replace(slot, crashes=0)
            if status is not None and status.phase is Phase.FAILED:
                self._crashed(slot, status.error or reason, _failed_phase(status), running.log_start)
            else:
                why = f"{running.killed_for} ({reason})" if running.killed_for else reason
                self._crashed(slot, why, running.phase, running.log_start)
        self._wake()

    def _crashed(self, slot: Slot, reason: str, phase: Phase, log_start: int) -> None:
        """The process of a wanted slot is gone: it starts again after a while, and a failed start is remembered."""
        crashes = slot.crashes + 1
        after = rules.backoff(crashes)
        self._put(
            replace(
                slot.emptied(),
                crashes=crashes,
                restarts=slot.restarts + 1,
                next_start=self._now() + after,
                empty_since=self._now(),
                error=reason,
            )
        )
        logs.warn("replica failed", replica=slot.replica, phase=phase, reason=reason, next_start_seconds=after)
        version = self._store.version(slot.service, slot.hash)
        if version is not None and phase is not Phase.READY:
            tail = logs.tail(self._folder.log(slot.service, slot.replica), LOG_LINES, start=log_start)
            failure = VersionFailure(phase=phase, reason=reason, log_tail=tuple(tail))
            self._store.put_version(replace(version, failure=failure))

    def restart_backoff(self, key: tuple[str, str]) -> None:
        """A new rollout: what waits for its next start may start now."""
        for slot in self.of(key):
            if not slot.pid:
                self._put(replace(slot, crashes=0, next_start=0, error=""))

    # A host's own start and end ----------------------------------------------------------------------------------
    def recover(self, scanned: Iterable[Identity]) -> set[str]:
        """Adopt what an earlier host started and what still runs; returns the nonces of what was adopted."""
        by_nonce, boot, adopted = {identity.nonce: identity for identity in scanned}, boot_id(), set()
        for slot in list(self._slots.values()):
            if not slot.nonce:
                continue
            identity = slot.identity or by_nonce.get(slot.nonce)
            child = adopt(identity) if identity else None
            if child is not None:
                adopted.add(slot.nonce)
                found = child.identity
                slot = replace(slot, pid=found.pid, start=found.start, boot=found.boot)
                self._put(slot)
                logs.note("replica adopted", replica=slot.replica, pid=slot.pid)
                self._track(slot, child)
                continue
            if identity is not None:
                end_session(identity)
            _unlink(slot.socket)
            if slot.stopping_since is not None:
                self._drop(slot.replica)
            else:
                logs.note("replica is gone", replica=slot.replica, pid=slot.pid)
                rebooted = slot.boot not in ("", boot)
                crashes = slot.crashes if rebooted or not slot.pid else slot.crashes + 1
                error = "" if rebooted or not slot.pid else "ended while no host watched it"
                gone = replace(
                    slot.emptied(), crashes=crashes, next_start=self._now(), empty_since=self._now(), error=error
                )
                self._put(replace(gone, restarts=slot.restarts + (1 if slot.pid else 0)))
        return adopted

    async def all_asked(self, seconds: float) -> None:
        """Wait until every replica was asked how it is, at most so long."""
        asked = [asyncio.create_task(running.probe.asked.wait()) for running in self._running.values()]
        if asked:
            _, late = await asyncio.wait(asked, timeout=seconds)
            for task in late:
                task.cancel()

    def leave(self) -> None:
        """Let go of every process; they run on."""
        for running in self._running.values():
            if running.ending is not None:
                running.ending.cancel()
            else:
                asyncio.get_running_loop().remove_reader(running.child.pidfd)
            running.stop_asking()
            running.child.close()
        self._running.clear()

    def terminate_all(self) -> None:
        """SIGTERM to every process, and no restart."""
        for replica, running in self._running.items():
            slot, now = self._slots[replica], self._now()
            if slot.terminated_at is None:
                self._put(replace(slot, stopping_since=slot.stopping_since or now, terminated_at=now))
                running.child.send(signal.SIGTERM)

    def kill_all(self) -> None:
        """SIGKILL to everything; slots are emptied as the processes end."""
        for running in self._running.values():
            running.child.kill()

    @property
    def count(self) -> int:
        """Living processes."""
        return len(self._running)


def _failed_phase(status: ReplicaStatus) -> Phase:
    """A replica that failed says in `detail` in which phase."""
    return Phase(status.detail) if status.detail in set(Phase) else Phase.ENGINE


def _unlink(path: str) -> None:
    if path and os.path.lexists(path):
        os.unlink(path)
