"""The decisions of a rollout, pure: how many replicas prove a version, how far it is, when and how it has failed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import Field

from runtime.contract.document import Document
from runtime.contract.host import Scale, VersionState
from runtime.contract.phases import STARTING, Phase
from runtime.contract.version import Bounds


class Timeouts(Document):
    """Seconds that each phase may take."""

    schedule: float = Field(default=600, gt=0)
    image: float = Field(default=900, gt=0)
    weights: float = Field(default=1800, gt=0)
    engine: float = Field(default=900, gt=0)
    first_token: float = Field(default=120, gt=0)

    def of(self, phase: Phase) -> float:
        """The clock of one starting phase."""
        return {
            Phase.SCHEDULE: self.schedule,
            Phase.IMAGE: self.image,
            Phase.WEIGHTS: self.weights,
            Phase.ENGINE: self.engine,
        }.get(phase, self.first_token)


def seed(*, bounds: Bounds, share: int, live: Iterable[int], current: int = 0) -> Scale:
    """How many replicas a version starts with. The first rule that matches wins.

    1. It has live replicas already, as many as its bounds ask for: keep them, capacity belongs to the autoscaler.
    2. Its share of the busiest routed version's replicas, rounded up, inside its bounds.
    3. Zero by both (min 0, nothing to take over): one temporary replica proves it.
    """
    takeover = math.ceil(max(live, default=0) * share / 100)
    count = min(max(takeover, current, bounds.min), bounds.max)
    return Scale(replicas=count) if count else Scale(replicas=1, temporary=True)


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Not there yet: the least advanced replica's phase, how long it has been in it, what it says."""

    phase: Phase
    seconds: float
    detail: str
    ready: int
    want: int

    def __str__(self) -> str:
        detail = f": {self.detail}" if self.detail else ""
        return f"{phase_name(self.phase)} {self.seconds:.0f} s{detail} ({self.ready} of {replicas(self.want)} ready)"


@dataclass(frozen=True)
class Ready:
    """All wanted replicas are ready for requests."""

    replicas: int


@dataclass(frozen=True)
class Failed:
    """It will not get there."""

    phase: Phase
    reason: str
    log_tail: tuple[str, ...] = ()


def judge(state: VersionState, *, want: int, clocks: Timeouts, began: float, now: float) -> Waiting | Ready | Failed:
    """Where a version is on its way to `want` ready replicas. Times are Unix seconds. The first rule that matches wins.

    1. Enough replicas are ready: ready, whatever befell others before.
    2. The host says that a start failed: failed, with its words.
    3. A replica has been in one phase for longer than that phase's clock: failed.
    4. Otherwise it waits for its least advanced replica; one that does not exist yet is in phase schedule.
    """
    ready = sum(replica.ready for replica in state.replicas)
    if ready >= want:
        return Ready(ready)
    if state.failure is not None:
        return Failed(state.failure.phase, state.failure.reason, state.failure.log_tail)
    starting = [
        Waiting(phase=replica.phase, seconds=max(now - replica.since, 0), detail=replica.detail, ready=ready, want=want)
        for replica in state.replicas
        if replica.phase in STARTING and not replica.ready
    ]
    if ready + len(starting) < want:
        starting.append(Waiting(phase=Phase.SCHEDULE, seconds=max(now - began, 0), detail="", ready=ready, want=want))
    for waiting in starting:
        clock = clocks.of(waiting.phase)
        if waiting.seconds > clock:
            setting = f"rollout.timeouts.{'firstToken' if waiting.phase is Phase.FIRST_TOKEN else waiting.phase.value}"
            return Failed(waiting.phase, f"took longer than {clock:g} s ({setting})" + _last(waiting.detail))
    return min(starting, key=lambda waiting: (STARTING.index(waiting.phase), -waiting.seconds))


def failure_text(*, service: str, version: str, hash: str, failed: Failed) -> str:
    """What the user reads when a version could not be proven."""
    name = f"version {version} ({hash})" if version else f"version {hash}"
    tail = "".join(f"\n  | {line}" for line in failed.log_tail)
    log = f"\nthe log's last lines:{tail}" if tail else ""
    return f"service {service}, {name} failed in phase {phase_name(failed.phase)}: {failed.reason}{log}"


def phase_name(phase: Phase) -> str:
    """A phase in words."""
    return "first token" if phase is Phase.FIRST_TOKEN else phase.value


def replicas(count: int) -> str:
    """`1 replica`, `2 replicas`."""
    return f"{count} replica{'' if count == 1 else 's'}"


def _last(detail: str) -> str:
    return f"; it last said {detail!r}" if detail else ""
