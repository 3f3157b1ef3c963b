"""How a slot looks to others: as a replica of the admin API, and as an endpoint for gateways. Pure."""

from __future__ import annotations

from runtime.contract.host import Endpoint, ReplicaState
from runtime.contract.phases import Phase
from runtime.contract.replica import ReplicaStatus
from runtime.host.checks import Checks
from runtime.host.store import Slot


def phase_of(status: ReplicaStatus, checks: Checks) -> Phase:
    """How far a replica is: one that has not passed its startup check still starts, whatever it says itself."""
    return Phase.ENGINE if status.ready and not checks.started else status.phase


def replica_state(
    slot: Slot, *, running: bool, ready: bool, status: ReplicaStatus | None, checks: Checks | None = None
) -> ReplicaState:
    """A slot for the admin API. Without a process it is in phase schedule; before its first answer in phase image."""
    if not running:
        phase, since, detail = Phase.SCHEDULE, slot.empty_since, slot.waits or "waits to start"
        if slot.crashes and not slot.waits:
            detail = f"starts again after {slot.crashes} failed start{'s' if slot.crashes > 1 else ''}"
    elif slot.stopping_since is not None:
        phase, since, detail = Phase.DRAINING, slot.stopping_since, ""
    elif status is None:
        phase, since, detail = Phase.IMAGE, slot.spawned_at, "process started"
    else:
        phase, since, detail = status.phase, status.since, status.detail
        if checks is not None and status.ready and not checks.passed:
            phase, detail = phase_of(status, checks), checks.waits_for
    return ReplicaState(
        replica=slot.replica,
        pid=slot.pid or None,
        phase=phase,
        since=since,
        detail=detail,
        ready=ready and slot.stopping_since is None,
        restarts=slot.restarts,
        error=status.error if status is not None and status.error else slot.error,
        endpoint=f"unix:{slot.socket}" if running else "",
    )


def endpoint(slot: Slot, *, ready: bool) -> Endpoint:
    """A slot with a process, for gateways."""
    draining = slot.stopping_since is not None
    return Endpoint(replica=slot.replica, address=f"unix:{slot.socket}", ready=ready, draining=draining)
