"""How long a start took, phase by phase, as a rollout saw it, and what is recorded of that."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import PurePath

from infra.measured import Measured, record
from infra.peak import gpu_memory, memory_peak
from runtime.contract.host import VersionState
from runtime.contract.phases import STARTING, Phase

BEFORE = (Phase.SCHEDULE, Phase.IMAGE, Phase.WEIGHTS, Phase.ENGINE)
"""A replica that was seen in one of them began while it was watched."""


class Starts:
    """When each replica of a version entered each phase, Unix seconds. What passes between two looks goes unseen."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[Phase, float]] = {}

    def look(self, state: VersionState) -> None:
        """Take in how far the replicas are."""
        for replica in state.replicas:
            if replica.phase in STARTING:
                self._seen.setdefault(replica.replica, {}).setdefault(replica.phase, replica.since)

    def seconds(self, asked: float, answered: float) -> dict[str, float]:
        """Seconds by phase of the slowest replica that began meanwhile; none when none did. The proof is firstToken."""
        starts = [spent for seen in self._seen.values() if (spent := durations(seen))]
        if not starts:
            return {}
        slowest = max(starts, key=lambda spent: sum(spent.values()))
        return {**slowest, Phase.FIRST_TOKEN.value: round(max(answered - asked, 0.0), 2)}


def durations(seen: Mapping[Phase, float]) -> dict[str, float]:
    """Seconds by phase before the first token, from when each began; a phase lasts until the next that was seen.

    Nothing where the begin or the end went unseen, or clocks disagree.
    """
    if Phase.FIRST_TOKEN not in seen or not any(phase in seen for phase in BEFORE):
        return {}
    order = [phase for phase in STARTING if phase in seen]
    spent = {phase.value: round(seen[after] - seen[phase], 2) for phase, after in itertools.pairwise(order)}
    return spent if all(seconds >= 0 for seconds in spent.values()) else {}


def keep(
    state: VersionState, seconds: Mapping[str, float], *, where: str, write: Callable[[Measured], None] = record
) -> str:
    """Record a start and the memory that its replicas have taken; the answer says why it could not be, if so.

    `where`: the `state` of the resources: an absolute folder is this machine's host, anything else a cluster.
    """
    from infra.plan import read_machine  # late: a run that proves nothing needs no planner
    from infra.plan.measured import cluster_place, machine_place

    local = PurePath(where).is_absolute()
    template = state.record.template
    place = machine_place(read_machine()) if local else cluster_place(template)
    if not seconds or not place:
        return ""
    pids = [replica.pid for replica in state.replicas if local and replica.pid]
    new = Measured(
        hash=state.record.hash,
        service=state.record.service,
        version=state.record.name,
        model=template.model.name if template.model else "",
        place=place,
        date=date.today().isoformat(),
        seconds=dict(seconds),
        memory_bytes=max((memory_peak(pid) for pid in pids), default=0),
        gpu_memory_bytes=max((gpu_memory(pid) for pid in pids), default=0) if template.gpus else 0,
    )
    try:
        write(new)
    except OSError as unwritable:
        return f"what was measured could not be kept: {unwritable}"
    return ""
