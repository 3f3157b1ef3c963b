"""Quotas and groups at their maximum: what is taken, who holds it, what is left at the peak of a rollout. Pure.

Every declared version of a service that names the quota counts at its maximum, stopped or not, with traffic or without:
what is declared may run. The peak adds the largest rollout among them; two that roll at once wait for each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from infra.plan.document import Finding, Headroom, Holder, Level
from infra.plan.units import enumerated
from infra.stackfile import Quota

RESOURCES = ("gpus", "gpuMemoryGiB", "cpus", "memoryGiB", "usdPerHour")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What one replica of a version takes of each resource (None: unknown, only usdPerHour), and its bounds."""

    name: str  # service/version
    path: str
    high: int
    each: Mapping[str, float | None]
    extra: float = 0
    """Replicas that the rollout adds above the maximum."""


def limits(quota: Quota) -> dict[str, float]:
    """The limits that a quota declares, by resource."""
    declared = {
        "gpus": quota.gpus,
        "gpuMemoryGiB": quota.gpu_memory_gib,
        "cpus": quota.cpus,
        "memoryGiB": quota.memory_gib,
        "usdPerHour": quota.usd_per_hour,
    }
    return {name: float(value) for name, value in declared.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """A quota weighed: its headroom by resource and what there is to say."""

    headroom: tuple[Headroom, ...] = ()
    findings: tuple[Finding, ...] = field(default=())


def weigh(name: str, quota: Quota, claims: Sequence[Claim]) -> Weighed:
    """Weigh one quota.

    1. A version whose price is unknown cannot be held to usdPerHour: a warning, and the rest is weighed.
    2. At maximum replicas the sum exceeds the limit: an error that names the holders and the bound that passes.
    3. At the peak of the largest rollout it exceeds it: an error too.
    """
    rows: list[Headroom] = []
    findings: list[Finding] = []
    for resource, limit in limits(quota).items():
        known = [(claim, claim.each.get(resource)) for claim in claims]
        for claim, each in known:
            if each is None:
                findings.append(_unknown(name, claim))
        taken = [(claim, each) for claim, each in known if each is not None]
        used = sum(each * claim.high for claim, each in taken)
        peak = used + max((each * claim.extra for claim, each in taken), default=0.0)
        holders = tuple(
            Holder(name=claim.name, amount=each * claim.high)
            for claim, each in sorted(taken, key=lambda pair: (-pair[0].high * pair[1], pair[0].name))
            if each * claim.high
        )
        row = Headroom(owner=f"quotas.{name}", resource=resource, limit=limit, used=used, peak=peak, holders=holders)
        rows.append(row)
        findings += _exceeded(row, taken)
    return Weighed(headroom=tuple(rows), findings=tuple(findings))


def _exceeded(row: Headroom, taken: Sequence[tuple[Claim, float]]) -> Iterator[Finding]:
    if row.peak <= row.limit + 1e-6:
        return
    held = enumerated([f"{holder.name} {holder.amount:.4g}" for holder in row.holders])
    path = f"{row.owner}.{row.resource}"
    if row.used > row.limit + 1e-6:
        text = f"{row.used:.4g} {row.resource} at maximum replicas, the limit is {row.limit:g} ({held})"
        yield Finding(level=Level.ERROR, rule="quota-exceeded", path=path, text=text, fix=_bound(row, taken))
        return
    text = f"the largest rollout would take {row.peak:.4g} {row.resource}, the limit is {row.limit:g} ({held})"
    fix = f"{row.resource}: {_up(row.peak)}, or rollout.strategy: recreate"
    yield Finding(level=Level.ERROR, rule="quota-exceeded", path=path, text=text, fix=fix)


def _bound(row: Headroom, taken: Sequence[tuple[Claim, float]]) -> str:
    """The highest bound of the largest holder that passes, or the limit that would."""
    claim, each = max(taken, key=lambda pair: (pair[0].high * pair[1], pair[0].name))
    bound = int((row.limit - (row.used - each * claim.high)) // each) if each else 0
    if bound >= 1:
        return f"replicas.max: {bound} for {claim.name}, or {row.resource}: {_up(row.used)}"
    return f"{row.resource}: {_up(row.used)}"


def _up(value: float) -> str:
    """A limit that holds `value`: rounded up to two digits after the point."""
    return f"{math.ceil(value * 100 - 1e-9) / 100:g}"


def _unknown(name: str, claim: Claim) -> Finding:
    text = f"{claim.name} has no price, so quota {name} cannot hold it to usdPerHour"
    fix = "`inferform catalog update --prices`, or a catalog file of your own with its price"
    return Finding(level=Level.WARNING, rule="price-unknown", path=claim.path, text=text, fix=fix)
