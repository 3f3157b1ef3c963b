"""The rollout of every service on a cluster: each version's rooms beside all others at their maximum. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from infra.plan.document import Finding, Level, RolloutPlan
from infra.plan.placement import UNIT
from infra.plan.placing import Placed
from infra.plan.quota import limits
from infra.plan.rollout import Choice, Room, choose
from infra.stackfile import Stack


@dataclass(slots=True, kw_only=True)
class Rollouts:
    """What was chosen. `extra`: replicas that each version's rollout adds above its maximum, by service/version."""

    plans: dict[str, RolloutPlan] = field(default_factory=dict)
    extra: dict[str, float] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def rollouts(stack: Stack, placed: Sequence[Placed]) -> Rollouts:
    """Choose every service's rollout; its worst version decides."""
    answer = Rollouts()
    totals = _Totals(stack, placed)
    by_service: dict[str, list[Placed]] = defaultdict(list)
    for each in placed:
        by_service[each.candidate.service].append(each)
    for name, service in sorted(stack.services.items()):
        choices = [(each, totals.choose(each)) for each in by_service[name] if each.placement]
        worst = max(choices, key=lambda pair: (ORDER.index(pair[1].decision), pair[1].tight), default=None)
        if worst is None:
            answer.plans[name] = RolloutPlan(
                strategy="surge", reason="no place is known for it", surge=service.rollout.surge
            )
            continue
        choice = worst[1]
        strategy: Literal["surge", "recreate"] = "recreate" if choice.decision == "recreate" else "surge"
        answer.plans[name] = RolloutPlan(strategy=strategy, reason=choice.reason, surge=service.rollout.surge)
        answer.findings += _rollout_findings(name, choice, declared=service.rollout.strategy)
        for each, _ in choices:
            answer.extra[each.candidate.key] = _extra(each, choice)
    return answer


UNITS = {
    "gpus": "GPUs",
    "gpuMemoryGiB": "GiB of GPU memory",
    "cpus": "cores",
    "memoryGiB": "GiB of memory",
    "usdPerHour": "USD/h",
}
"""How a reader calls the resources of a quota."""
ORDER = ("surge", "recreate", "refuse")


def _extra(each: Placed, choice: Choice) -> float:
    """Replicas above the maximum at the peak of this version's replacement."""
    bounds = each.candidate.declared.replicas
    if choice.decision == "recreate":
        return 0
    return max(0, 2 * max(1, bounds.min) - bounds.max) if choice.tight else bounds.max


def _rollout_findings(name: str, choice: Choice, *, declared: str) -> Iterator[Finding]:
    path = f"services.{name}.rollout.strategy"
    if choice.decision == "refuse":
        fix = f"strategy: auto (requests wait during an update), a lower replicas.max, or more in {choice.room}"
        yield Finding(
            level=Level.ERROR,
            rule="rollout-no-room",
            path=path,
            text=f"strategy surge cannot work: {choice.reason}",
            fix=fix,
        )
    elif choice.decision == "recreate" and declared != "recreate":
        text = f"a new version replaces the old one in its place: {choice.reason}; requests wait meanwhile"
        fix = f"more in {choice.room}, or a lower replicas.max"
        yield Finding(level=Level.NOTE, rule="rollout-recreate", path=path, text=text, fix=fix)
    elif choice.tight:
        text = f"an update at full load waits for room: {choice.reason}"
        yield Finding(
            level=Level.NOTE,
            rule="rollout-tight",
            path=path,
            text=text,
            fix=f"more in {choice.room}, or a lower replicas.max",
        )


class _Totals:
    """What every group and quota holds at maximum: a version's rooms come without adding up the rest again."""

    def __init__(self, stack: Stack, placed: Sequence[Placed]) -> None:
        self._stack = stack
        self._sizes: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        self._quota: dict[tuple[str, str], float] = defaultdict(float)
        self._capacity: dict[str, int] = {}
        for each in placed:
            if each.placement is None:
                continue
            high = each.candidate.declared.replicas.max
            if group := each.placement.group:
                self._sizes[group][each.slots] += high
                known = self._capacity.get(group, each.placement.node_slots)
                self._capacity[group] = min(known, each.placement.node_slots)
            if quota := each.placement.quota:
                for resource, amount in each.takes().items():
                    self._quota[quota, resource] += (amount or 0) * high

    def choose(self, each: Placed) -> Choice:
        """The rollout of one version beside all others at their maximum."""
        assert each.placement is not None
        bounds = each.candidate.declared.replicas
        rooms: list[Room] = []
        amounts: list[float] = []
        if group := each.placement.group:
            nodes = self._stack.resource_groups[group].nodes.max
            capacity = self._capacity[group]
            sizes = dict(self._sizes[group])
            sizes[each.slots] -= bounds.max
            others = sum(size * count for size, count in sizes.items()) / UNIT
            unit = "GPUs" if each.placement.gpus else "cores"
            rooms.append(
                Room(
                    name=f"group {group}",
                    unit=unit,
                    limit=nodes * capacity / UNIT,
                    others=others,
                    nodes=nodes,
                    capacity=capacity,
                    sizes=sizes,
                )
            )
            amounts.append(each.slots / UNIT)
        if quota := each.placement.quota:
            taken = each.takes()
            for resource, limit in limits(self._stack.quotas[quota]).items():
                amount = taken[resource]
                if amount is not None:
                    others = self._quota[quota, resource] - amount * bounds.max
                    rooms.append(Room(name=f"quota {quota}", unit=UNITS[resource], limit=limit, others=others))
                    amounts.append(amount)
        return choose(
            wanted=each.candidate.owner.rollout.strategy, low=bounds.min, high=bounds.max, each=amounts, rooms=rooms
        )
