"""What to do next about a version's replicas: from what is wanted and what is there to actions. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

KILL_GRACE_SECONDS = 3.0
"""After `drain_seconds` a replica has so long to exit before it is killed."""
NO_GATEWAY_SECONDS = 2.0
"""Without a gateway that reports, a replica is drained for so long before SIGTERM."""
STALE_GATEWAY_SECONDS = 15.0
"""A gateway that reports but does not apply the newest view holds up a stop for at most so long."""


@dataclass(frozen=True, kw_only=True)
class Desired:
    """What is wanted of one version."""

    service: str
    hash: str
    wanted: int
    drain_seconds: float


@dataclass(frozen=True, kw_only=True)
class Observed:
    """One slot as it is. Times are Unix seconds."""

    replica: str
    number: int
    running: bool  # it has a process
    ready: bool = False
    spawned_at: float = 0
    next_start: float = 0  # back-off: not before
    stopping_since: float | None = None  # marked as draining
    terminated_at: float | None = None  # SIGTERM was sent
    drained: bool | None = None  # every gateway has taken it out; None: there is no gateway
    dead: str = ""  # why its process must go although it runs: it said that it failed, or it stopped answering


@dataclass(frozen=True)
class Start:
    """Start a process in the slot `number`, new or empty."""

    service: str
    hash: str
    number: int


@dataclass(frozen=True)
class Drain:
    """Tell gateways to send nothing new."""

    replica: str


@dataclass(frozen=True)
class Undrain:
    """It is wanted again before it was told to exit."""

    replica: str


@dataclass(frozen=True)
class Terminate:
    """SIGTERM: finish what runs, then exit."""

    replica: str


@dataclass(frozen=True)
class Kill:
    """SIGKILL to its whole session."""

    replica: str
    reason: str


@dataclass(frozen=True)
class Forget:
    """The slot is empty and not wanted: its record goes."""

    replica: str


Action = Start | Drain | Undrain | Terminate | Kill | Forget


LONGEST_BACKOFF_SECONDS = 30.0


def backoff(crashes: int) -> float:
    """Seconds before the next start after so many crashes in a row: 1, 2, 4, 8, 16, 30, 30 ..."""
    return min(2.0 ** min(max(crashes - 1, 0), 10), LONGEST_BACKOFF_SECONDS)


def decide(desired: Desired, slots: Sequence[Observed], now: float) -> list[Action]:
    """The actions that bring the slots of one version closer to what is wanted.

    Of a slot that is being stopped:
    1. Its process is gone: forget it.
    2. SIGTERM was sent, and drain_seconds plus a grace have passed: kill.
    3. No SIGTERM yet, and it was never ready, or every gateway has taken it out, or without a gateway 2 s have passed:
       SIGTERM.
    Of the others:
    4. Alive but failed or no longer answering: kill; its end is a crash as any other.
    5. More than wanted: stop first what has no process, then what is not ready or about to be killed, then what started
       last.
    6. Fewer than wanted: take back what was to be stopped and has no SIGTERM yet, then start in the lowest free number.
    7. An empty slot whose back-off is over, or further off than any back-off (the clock was set back): start.
    """
    actions: list[Action] = []
    for slot in slots:
        if slot.stopping_since is None:
            continue
        if not slot.running:
            actions.append(Forget(slot.replica))
        elif slot.terminated_at is not None:
            if now >= slot.terminated_at + desired.drain_seconds + KILL_GRACE_SECONDS:
                seconds = f"{desired.drain_seconds:g} s"
                actions.append(Kill(slot.replica, f"it did not exit within drain_seconds ({seconds})"))
        elif _may_terminate(slot, now):
            actions.append(Terminate(slot.replica))

    active = [slot for slot in slots if slot.stopping_since is None]
    active.sort(key=lambda slot: (slot.running, slot.ready and not slot.dead, -slot.spawned_at, -slot.number))
    surplus = active[: max(len(active) - desired.wanted, 0)]
    actions += [Drain(slot.replica) if slot.running else Forget(slot.replica) for slot in surplus]

    kept = sorted(active[len(surplus) :], key=lambda slot: slot.number)
    for slot in kept:
        if slot.running and slot.dead:
            actions.append(Kill(slot.replica, slot.dead))
        elif not slot.running and not now < slot.next_start <= now + LONGEST_BACKOFF_SECONDS:
            actions.append(Start(desired.service, desired.hash, slot.number))

    missing = desired.wanted - len(kept)
    back = [slot for slot in slots if slot.stopping_since is not None and slot.running and slot.terminated_at is None]
    for slot in back[: max(missing, 0)]:
        actions = [action for action in actions if action != Terminate(slot.replica)]
        actions.append(Undrain(slot.replica))
        missing -= 1
    taken = {slot.number for slot in slots}
    free = (number for number in range(len(taken) + max(missing, 0)) if number not in taken)
    actions += [Start(desired.service, desired.hash, next(free)) for _ in range(max(missing, 0))]
    return actions


def _may_terminate(slot: Observed, now: float) -> bool:
    assert slot.stopping_since is not None
    if not slot.ready or slot.drained:
        return True
    patience = NO_GATEWAY_SECONDS if slot.drained is None else STALE_GATEWAY_SECONDS
    return now >= slot.stopping_since + patience
