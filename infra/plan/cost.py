"""What does it cost per hour, at minimum and at maximum replicas, and how much more than now? Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from catalog import Catalog, InstanceType
from infra.plan.document import Cost, Deployed, ServicePlan
from infra.plan.units import counted, enumerated

Amount = float | None
ZERO = Cost(min_per_hour=0.0, max_per_hour=0.0)


def version_cost(usd: Amount, low: int, high: int, *, stopped: bool) -> Cost:
    """A version's cost: its replica's share of a node times its bounds. None: the price is unknown."""
    if stopped:
        return Cost(min_per_hour=0.0, max_per_hour=0.0, note="stopped")
    return Cost(min_per_hour=_times(usd, low), max_per_hour=_times(usd, high))


def together(costs: Iterable[Cost]) -> Cost:
    """The sum. One unknown price makes it unknown: half a sum would read as the whole. The note has the known half."""
    every = list(costs)
    known_low = sum(cost.min_per_hour or 0.0 for cost in every)
    known_high = sum(cost.max_per_hour or 0.0 for cost in every)
    unknown = sum(cost.max_per_hour is None or cost.min_per_hour is None for cost in every)
    note = f"{counted(unknown, 'version')} without a price" if unknown else ""
    if unknown and known_high:
        known = " to ".join(dict.fromkeys((f"{known_low:.2f}", f"{known_high:.2f}")))
        note += f", the others {known} USD/h"
    return Cost(
        min_per_hour=None if any(cost.min_per_hour is None for cost in every) else known_low,
        max_per_hour=None if any(cost.max_per_hour is None for cost in every) else known_high,
        note=note,
    )


def idle_nodes(usd: Amount, *, nodes: int, used: float) -> Cost:
    """What a group's minimum of nodes costs above what replicas at their minimum use of them (`used`, in nodes)."""
    idle = max(0.0, nodes - used)
    cost = 0.0 if not idle else _times(usd, idle)
    return Cost(min_per_hour=cost, max_per_hour=0.0, note=f"{idle:.3g} of {nodes} nodes idle at minimum replicas")


def difference(services: Sequence[ServicePlan], deployed: Deployed | None) -> Cost | None:
    """The plan's cost less the deployed one's, the services that change it in the note; None: who serves is unknown."""
    if deployed is None:
        return None
    wanted = {each.name: [version.cost for version in each.versions if version.cost] for each in services}
    serving = {
        name: [
            Cost(
                min_per_hour=_times(version.usd_per_hour, version.bounds.min),
                max_per_hour=_times(version.usd_per_hour, version.bounds.max),
            )
            for version in versions
        ]
        for name, versions in deployed.services.items()
    }
    changes = {
        name: _less(together(wanted.get(name, ())), together(serving.get(name, ())))
        for name in sorted(wanted.keys() | serving.keys())
    }
    changed = [f"{name} {signed(change)}" for name, change in changes.items() if signed(change) != "+0.00"]
    return replace(together(changes.values()), note=enumerated(changed))


def _less(one: Cost, other: Cost) -> Cost:
    return Cost(
        min_per_hour=_minus(one.min_per_hour, other.min_per_hour),
        max_per_hour=_minus(one.max_per_hour, other.max_per_hour),
    )


def signed(cost: Cost) -> str:
    """A difference at minimum..maximum replicas: `+1.54`, `-0.50..+3.00`, `?` where a price is unknown."""
    values = (cost.min_per_hour, cost.max_per_hour)
    low, high = ("?" if each is None else f"{round(each, 2) + 0.0:+.2f}" for each in values)
    return low if low == high else f"{low}..{high}"


def price_notes(used: Iterable[InstanceType], catalog: Catalog) -> tuple[str, ...]:
    """Where the prices come from and when, and each exchange rate that was used, with its date."""
    notes: dict[str, None] = {}
    for instance in used:
        for price in instance.prices[:1]:
            notes[f"prices of {price.region}, {price.date}, {price.verified.value}: {price.source}"] = None
            if price.currency != "USD" and (rate := catalog.rates.get(price.currency)):
                notes[f"1 USD = {rate.per_usd:g} {rate.currency}, {rate.date}, {rate.verified.value}"] = None
    return tuple(sorted(notes))


def by_name(parts: Mapping[str, Sequence[Cost]]) -> dict[str, Cost]:
    """Sums by name, sorted."""
    return {name: together(parts[name]) for name in sorted(parts)}


def _times(usd: Amount, count: float) -> Amount:
    return 0.0 if count == 0 else None if usd is None else usd * count


def _minus(one: Amount, other: Amount) -> Amount:
    return None if one is None or other is None else one - other
