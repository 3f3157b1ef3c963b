"""What has to be done about a version now? Pure: rows, counts and the time in, one decision out."""

from __future__ import annotations

from dataclasses import dataclass, replace

from runtime.contract import wanted
from runtime.contract.desired import Version
from runtime.contract.host import Scale
from runtime.contract.route import RouteTable
from runtime.kubeapi import Object

BY_HAND = "set to {} by another hand than ours"
AGAIN_SECONDS = 3.0
"""A count that was asked for shows in the Deployment soon; before this it is not asked for again."""


@dataclass(frozen=True)
class Counts:
    """A version's Deployment."""

    replicas: int  # as it is declared
    ready: int


@dataclass(frozen=True)
class Memory:
    """What the leader remembers of a version: nothing at first."""

    settled: int | None = None  # the count at which row and Deployment agreed last
    asked: int | None = None  # the count that we asked for last
    asked_at: float = 0
    wanted: int | None = None  # of the last look


@dataclass(frozen=True)
class Work:
    """Write the row if there is one, then scale if there is a count. `confirm`: look at the row again before that."""

    row: Version | None = None
    replicas: int | None = None
    confirm: bool = False


def counts(deployment: Object | None) -> Counts | None:
    """The counts of a Deployment; None without one."""
    if deployment is None:
        return None
    declared = (deployment.get("spec") or {}).get("replicas")
    ready = (deployment.get("status") or {}).get("readyReplicas")
    return Counts(1 if declared is None else int(declared), int(ready or 0))


def decide(
    version: Version, route: RouteTable | None, deployment: Counts | None, memory: Memory, now: float
) -> tuple[Work, Memory]:
    """One version; the first rule that matches wins. `now` is Unix seconds.

    1. Time: leases that ran out, orphans that are swept (`wanted.aged`). A failure is over when every replica is ready.
    2. No Deployment (not yet, or no more): there is nothing to scale.
    3. The Deployment has the wanted count: they agree.
    4. The count is an autoscaler's of the cluster (hpa, keda): see `_left_alone`.
    5. They had agreed on the wanted count and nobody here asked for another: another hand has scaled. Inside the bounds
       its count becomes the live count, otherwise it is put back, once the row was looked at again: a plugin may have
       changed it in this moment.
    6. Otherwise the row has changed, or a change was left half done: scale.
    """
    row = _aged(version, route, deployment, now)
    count = wanted.wanted(row, route, now)
    memory = replace(memory, wanted=count)
    if deployment is None:
        return _work(version, row), replace(memory, settled=None, asked=None)
    if deployment.replicas == count:
        return _work(version, row), replace(memory, settled=count, asked=None)
    if version.record.scaling.by != "gateway" and count > 0:
        return _left_alone(version, row, route, deployment, count, memory, now)
    if memory.settled == count and deployment.replicas != memory.asked:
        followed = _followed(row, route, deployment.replicas, now)
        if followed is not None:
            return Work(row=followed), memory
        return _scale(version, row, count, memory, now, confirm=True)
    return _scale(version, row, count, memory, now)


def _left_alone(
    version: Version,
    row: Version,
    route: RouteTable | None,
    deployment: Counts,
    count: int,
    memory: Memory,
    now: float,
) -> tuple[Work, Memory]:
    """The count belongs to an HPA or to KEDA.

    1. The row has changed since the last look (a rollout seeds): scale once.
    2. At zero an HPA sleeps, and so does KEDA where `min` is not zero: scale.
    3. Otherwise the live count follows, so that a rollout knows what to take over.
    """
    changed = memory.settled is not None and memory.settled != count and memory.asked != count
    asleep = deployment.replicas == 0 and (version.record.scaling.by == "hpa" or version.record.bounds.min > 0)
    if changed or asleep:
        return _scale(version, row, count, memory, now)
    followed = _followed(row, route, deployment.replicas, now)
    return (Work(row=followed) if followed is not None else _work(version, row)), memory


def _scale(
    version: Version, row: Version, count: int, memory: Memory, now: float, *, confirm: bool = False
) -> tuple[Work, Memory]:
    if memory.asked == count and now < memory.asked_at + AGAIN_SECONDS:
        return _work(version, row), memory
    work = Work(row=row if row != version else None, replicas=count, confirm=confirm)
    return work, replace(memory, asked=count, asked_at=now)


def _work(version: Version, row: Version) -> Work:
    return Work(row=row if row != version else None)


def _aged(version: Version, route: RouteTable | None, deployment: Counts | None, now: float) -> Version:
    row = wanted.aged(version, route, now)
    count = wanted.wanted(row, route, now)
    if row.failure is not None and deployment is not None and 0 < count == deployment.replicas <= deployment.ready:
        row = replace(row, failure=None)
    return row


def _followed(row: Version, route: RouteTable | None, replicas: int, now: float) -> Version | None:
    """The row with another hand's count; None where the row does not allow it now."""
    if wanted.is_leased(row, now) or row.deleting or row.swept or wanted.wanted(row, route, now) != row.live:
        return None
    try:
        scale = Scale(replicas=replicas, reason=BY_HAND.format(replicas))
        return wanted.scaled(row, scale, routed=wanted.is_routed(row, route), now=now)
    except wanted.OutOfBounds:
        return None
