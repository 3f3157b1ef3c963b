"""What the checks of one replica (`probes` of its version) have said so far, and what that means. Pure.

1. Without a startup check a replica counts as started.
2. The startup check is asked until it passed `successThreshold` times in a row; until then no other check is asked and
   the replica takes no traffic. `failureThreshold` failures in a row end the process.
3. `failureThreshold` failures of the liveness check in a row end the process.
4. A replica with a readiness check takes traffic after `successThreshold` passes in a row, and none after
   `failureThreshold` failures in a row.
5. A check is asked first `initialDelaySeconds` after the process started, then every `periodSeconds`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from runtime.contract.version import Probe


class Kind(StrEnum):
    """Which check; the keys of `VersionTemplate.probes`."""

    STARTUP = "startup"
    LIVENESS = "liveness"
    READINESS = "readiness"


@dataclass(frozen=True)
class Tally:
    """Passes and failures in a row, of which one is 0, and the last failure in words."""

    passes: int = 0
    failures: int = 0
    problem: str = ""


@dataclass(frozen=True)
class Checks:
    """The state of one replica's checks. `dead`: why its process must end."""

    probes: Mapping[Kind, Probe]
    started: bool
    ready: bool
    tallies: Mapping[Kind, Tally]
    dead: str = ""

    @property
    def passed(self) -> bool:
        """Whether the checks let it take traffic."""
        return self.started and self.ready and not self.dead

    @property
    def waits_for(self) -> str:
        """What keeps it from traffic, in words; empty when nothing does."""
        if self.passed or self.dead:
            return self.dead
        kind = Kind.READINESS if self.started else Kind.STARTUP
        problem = self.tallies[kind].problem
        return f"waits for its {kind} check" + (f": {problem}" if problem else "")


def begin(probes: Mapping[str, Probe], *, passed_before: bool = False) -> Checks:
    """Of a process that has just started, or (`passed_before`) of one that took traffic when a host last looked."""
    by_kind = {Kind(name): probe for name, probe in probes.items()}
    return Checks(
        probes=by_kind,
        started=passed_before or Kind.STARTUP not in by_kind,
        ready=passed_before or Kind.READINESS not in by_kind,
        tallies={kind: Tally() for kind in by_kind},
    )


def is_asked(checks: Checks, kind: Kind) -> bool:
    """Whether this check is asked now: the startup check until it has passed, the others after that."""
    return kind in checks.probes and not checks.dead and checks.started is not (kind is Kind.STARTUP)


def next_at(probe: Probe, *, spawned_at: float, asked_at: float | None) -> float:
    """When a check is due; `asked_at`: when it was asked last. All on one clock."""
    first = spawned_at + probe.initial_delay_seconds
    return first if asked_at is None else max(first, asked_at + probe.period_seconds)


def after(checks: Checks, kind: Kind, problem: str) -> Checks:
    """The state after one answer; `problem` is empty when the check passed."""
    probe, tally = checks.probes[kind], checks.tallies[kind]
    tally = Tally(failures=tally.failures + 1, problem=problem) if problem else Tally(passes=tally.passes + 1)
    checks = replace(checks, tallies={**checks.tallies, kind: tally})
    passed, failed = tally.passes >= probe.success_threshold, tally.failures >= probe.failure_threshold
    if kind is Kind.READINESS:
        return replace(checks, ready=(checks.ready or passed) and not failed)
    if failed:
        times = "once" if tally.failures == 1 else f"{tally.failures} times in a row"
        return replace(checks, dead=f"its {kind} check failed {times}: {problem}")
    return replace(checks, started=True) if kind is Kind.STARTUP and passed else checks
