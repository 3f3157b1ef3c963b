"""How many live replicas should a version have now, and why? Pure: what was seen and the time are passed in.

The rules of `step`:
1. The autoscaler owns a version that is routed, in service, not leased by a rollout, whose `scaling.by` is gateway and
   whose bounds leave a choice. Of any other it remembers nothing, so that it starts afresh when it owns it again.
2. A live count that it neither knew nor asked for is another hand's: a new start, whose count stands for a whole
   `down_seconds`. Only load moves it sooner, upwards.
3. Asleep at zero: `activation` replicas as soon as a request waits, whatever the windows say.
4. `min: 0` and nothing asked for `idle_seconds`: zero. The clock starts at the first ready replica, not before: a node
   or weights that take long are no idleness. Until then at least one replica stays.
5. The target's demand (`demand.py`) moves the count up once it was higher for `up_seconds`, down to the highest
   demand of the last `down_seconds`. Without a target the count stays, but see 6.
6. Cron: the job that fired last gives a floor. Without a target its firing sets the count.
7. Replicas that did not get ready for STUCK_SECONDS: no more are added, and the reason says so.
8. All of it within the bounds.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from runtime.contract import cron
from runtime.contract.host import ServiceView, VersionView
from runtime.contract.scaling import CronJob, Scaling
from runtime.gateway.autoscale.demand import Demand, demand
from runtime.gateway.autoscale.measure import Sample, asked_between, measure, recent, waiting
from runtime.gateway.autoscale.window import Peaks

STUCK_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Decision:
    """The live count that a version should have, and why."""

    replicas: int
    reason: str


@dataclass(frozen=True, slots=True)
class Memory:
    """What is kept of a version from one look to the next. Times are monotonic seconds."""

    live: int
    ready: int
    since: float  # `ready` is as it is since then
    asked: int | None = None  # a count that was decided and that the view does not show yet
    samples: tuple[Sample, ...] = ()
    highest: Peaks = field(default_factory=Peaks)  # demands
    lowest: Peaks = field(default_factory=Peaks)  # demands, negated
    busy_at: float | None = None  # the last request, or the first ready replica; None: none is ready yet
    short_since: float | None = None  # fewer ready than live, and none more got ready
    fired: datetime | None = None  # the last firing of cron that has been followed


def owned(service: ServiceView, digest: str) -> VersionView | None:
    """Rule 1: the version, if this autoscaler moves its count."""
    version, table = service.versions.get(digest), service.table
    if version is None or table is None or table.stopped or version.leased or version.scaling.by != "gateway":
        return None
    if version.bounds.min == version.bounds.max or all(each.hash != digest for each in table.versions.values()):
        return None
    return version


def step(
    memory: Memory | None, version: VersionView, *, ready: int, sample: Sample, utc: datetime
) -> tuple[Memory, Decision]:
    """One look at a version that the autoscaler owns. `utc` is the minute for cron; `sample.at` the time."""
    before = memory.samples[-1] if memory is not None else None
    memory = _observed(memory, version, ready, sample)
    job, fired = newest_firing(version.scaling.cron, utc)
    decision = _at_zero(memory, version, before, floor=job.replicas if job is not None else 0)
    highest, lowest = memory.highest, memory.lowest
    if decision is None:
        wish, highest, lowest = _windowed(memory, version)
        decision = _unstuck(memory, _scheduled(wish, version.scaling, job, fires=fired != memory.fired))
    low, high = version.bounds.min, version.bounds.max
    if not low <= decision.replicas <= high:
        reason = f"{decision.reason}; between {low} and {high}"
        decision = Decision(min(max(decision.replicas, low), high), reason)
    asked = None if decision.replicas == version.live else decision.replicas
    return replace(memory, asked=asked, highest=highest, lowest=lowest, fired=fired), decision


def _observed(memory: Memory | None, version: VersionView, ready: int, sample: Sample) -> Memory:
    """The memory with what was seen; rule 2 is here."""
    now, live = sample.at, version.live
    if memory is None:
        memory = Memory(live, ready, now)
    strange = not memory.samples or live not in (memory.live, memory.asked)
    short_since = None if ready >= live else now if memory.short_since is None else memory.short_since
    if short_since is not None and ready > memory.ready:
        short_since = now
    return Memory(
        live,
        ready,
        since=memory.since if ready == memory.ready else now,
        samples=recent(memory.samples, sample),
        highest=_only(now, live) if strange else memory.highest,
        lowest=_only(now, -live) if strange else memory.lowest,
        busy_at=_idle_clock(memory, live, ready, sample),
        short_since=short_since,
        fired=memory.fired,
    )


def _idle_clock(memory: Memory, live: int, ready: int, sample: Sample) -> float | None:
    """When the version was last wanted; see rule 4."""
    if not live:
        return None
    if memory.busy_at is None:
        return sample.at if ready else None
    return sample.at if asked_between(memory.samples[-1], sample) else memory.busy_at


def _at_zero(memory: Memory, version: VersionView, before: Sample | None, *, floor: int) -> Decision | None:
    """Rules 3 and 4; None: they have nothing to say."""
    scaling, live, sample = version.scaling, version.live, memory.samples[-1]
    if live == 0 and waiting(before, sample):
        return Decision(max(scaling.activation, floor), "a request waits for a replica")
    if version.bounds.min > 0 or floor > 0:
        return None
    if live == 0:
        return Decision(0, "asleep, nobody waits")
    if memory.busy_at is not None and sample.at - memory.busy_at >= scaling.idle_seconds:
        return Decision(0, f"nothing was asked for {scaling.idle_seconds:g} s")
    return None


def _windowed(memory: Memory, version: VersionView) -> tuple[Demand, Peaks, Peaks]:
    """Rule 5: the demand through both windows, and the windows."""
    now, live, scaling = memory.samples[-1].at, version.live, version.scaling
    if scaling.target is None:
        return Demand(live, "as it was set"), memory.highest, memory.lowest
    settled = now - memory.since
    wish = demand(scaling.target, measure(memory.samples), live=live, ready=memory.ready, settled=settled)
    wanted = max(wish.replicas, 1, version.bounds.min)
    highest = memory.highest.add(now, wanted, scaling.down_seconds)
    lowest = memory.lowest.add(now, -wanted, scaling.up_seconds)
    up, down = -lowest.highest, highest.highest
    if up > live:
        wish = Demand(up, wish.reason)
    elif down < live:
        wish = Demand(down, f"{wish.reason}, for {scaling.down_seconds:g} s")
    else:
        wish = Demand(live, wish.reason)
    return wish, highest, lowest


def _scheduled(wish: Demand, scaling: Scaling, job: CronJob | None, *, fires: bool) -> Demand:
    """Rule 6."""
    if job is None:
        return wish
    said = f"cron {job.name or job.schedule} asks for {job.replicas}"
    if scaling.target is None and fires:
        return Demand(max(job.replicas, 1), said)
    return Demand(job.replicas, said) if job.replicas > wish.replicas else wish


def _unstuck(memory: Memory, wish: Demand) -> Decision:
    """Rule 7."""
    now, live = memory.samples[-1].at, memory.live
    if memory.short_since is not None and wish.replicas > live > 0 and now - memory.short_since >= STUCK_SECONDS:
        text = f"{live - memory.ready} of {live} replicas did not get ready for {now - memory.short_since:.0f} s"
        return Decision(live, f"{text}: no more are added ({wish.reason})")
    return Decision(wish.replicas, wish.reason)


def newest_firing(jobs: tuple[CronJob, ...], utc: datetime) -> tuple[CronJob | None, datetime | None]:
    """Rule 6: the job that fired last and when; of those that fire together the one that asks for most."""
    firings = [(cron.last(job.schedule, utc), job.replicas, job) for job in jobs]
    if not firings:
        return None, None
    fired, _, job = max(firings, key=lambda firing: firing[:2])
    return job, fired


def _only(now: float, value: int) -> Peaks:
    return Peaks(((now, value),))
