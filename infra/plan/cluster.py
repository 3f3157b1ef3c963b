"""Targets kubernetes and eks: from checked versions to places, rollouts, headroom and costs. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from catalog import Catalog, InstanceType
from infra.plan.cost import by_name, idle_nodes
from infra.plan.document import Cost, Finding, Headroom, Holder, Level, RolloutPlan
from infra.plan.lock import Lock
from infra.plan.packing import Verdict, nodes_needed, verdict
from infra.plan.placement import Sizer, node_usd
from infra.plan.placing import Placed, cloud_types, place
from infra.plan.quota import Claim, weigh
from infra.plan.rolling import rollouts
from infra.plan.units import enumerated
from infra.plan.version import Candidate
from infra.stackfile import ResourceGroup, Stack


@dataclass(slots=True, kw_only=True)
class Answer:
    """Everything that the cluster's pure modules said."""

    placed: list[Placed] = field(default_factory=list)
    rollouts: dict[str, RolloutPlan] = field(default_factory=dict)
    headroom: list[Headroom] = field(default_factory=list)
    costs: dict[str, Cost] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    priced: list[InstanceType] = field(default_factory=list)


def decide(stack: Stack, candidates: Sequence[Candidate], catalog: Catalog, lock: Lock | None) -> Answer:
    """Place every version, choose rollouts, weigh groups and quotas, add up costs."""
    answer = Answer()
    cloud, sizer = cloud_types(stack, catalog), Sizer(catalog)
    answer.placed = [place(each, stack, sizer, lock, cloud, answer.findings) for each in candidates]
    used = {each.option.instance.id: each.option.instance for each in answer.placed if each.option}
    answer.priced = [used[name] for name in sorted(used)]
    rolled = rollouts(stack, answer.placed)
    answer.rollouts = rolled.plans
    answer.findings += rolled.findings
    by_group: dict[str, list[Placed]] = defaultdict(list)
    by_quota: dict[str, list[Placed]] = defaultdict(list)
    for each in answer.placed:
        if each.placement is not None:
            by_group[each.placement.group].append(each)
            by_quota[each.placement.quota].append(each)
    for name, group in sorted(stack.resource_groups.items()):
        _weigh_group(name, group, by_group[name], rolled.extra, answer)
    for name, quota in sorted(stack.quotas.items()):
        weighed = weigh(name, quota, [_claim(each, rolled.extra) for each in by_quota[name]])
        answer.headroom += weighed.headroom
        answer.findings += weighed.findings
    if any(finding.rule in ("quota-exceeded", "group-too-small") for finding in answer.findings):
        # Not even the declared replicas fit: what a rollout would add to that is noise until they do.
        answer.findings = [finding for finding in answer.findings if finding.level is not Level.NOTE]
    answer.costs = _costs(stack, answer, by_group, catalog)
    return answer


def _claim(each: Placed, extra: Mapping[str, float]) -> Claim:
    candidate = each.candidate
    return Claim(
        name=candidate.key,
        path=candidate.path,
        high=candidate.declared.replicas.max,
        each=each.takes(),
        extra=extra.get(candidate.key, 0),
    )


def _weigh_group(
    name: str, group: ResourceGroup, members: Sequence[Placed], extra: Mapping[str, float], answer: Answer
) -> None:
    """Nodes at maximum and at the peak of the largest rollout, and whether they always suffice."""
    if not members:
        return
    capacity = min(each.placement.node_slots for each in members if each.placement)
    sizes: Counter[int] = Counter()
    for each in members:
        sizes[each.slots] += each.candidate.declared.replicas.max
    said = verdict(sizes, nodes=group.nodes.max, capacity=capacity)
    used = nodes_needed(sizes, capacity=capacity)
    peaks = {(each.slots, int(extra.get(each.candidate.key, 0))) for each in members}
    peak = max(
        (nodes_needed(sizes + Counter({slots: count}), capacity=capacity) for slots, count in peaks), default=used
    )
    holders = sorted(
        (
            Holder(name=each.candidate.key, amount=each.slots * each.candidate.declared.replicas.max / capacity)
            for each in members
        ),
        key=lambda holder: (-holder.amount, holder.name),
    )
    row = Headroom(
        owner=f"resourceGroups.{name}",
        resource="nodes",
        limit=group.nodes.max,
        used=used,
        peak=max(used, peak),
        holders=tuple(holders),
        verdict=said.value,
    )
    answer.headroom.append(row)
    answer.findings += _group_findings(row, said)


def _group_findings(row: Headroom, said: Verdict) -> Iterator[Finding]:
    path = f"{row.owner}.nodes.max"
    held = enumerated([f"{holder.name} {holder.amount:.3g}" for holder in row.holders])
    if said is Verdict.NEVER:
        text = f"at maximum replicas {row.used:g} nodes are needed, there are at most {row.limit:g} ({held})"
        yield Finding(level=Level.ERROR, rule="group-too-small", path=path, text=text, fix=f"max: {row.used:g}")
    elif said is Verdict.PACKED:
        text = f"the replicas fit {row.limit:g} nodes only if they are packed well: started in another order, one waits"
        yield Finding(level=Level.WARNING, rule="group-tight", path=path, text=text, fix=f"max: {row.limit + 1:g}")


def _costs(stack: Stack, answer: Answer, by_group: Mapping[str, Sequence[Placed]], catalog: Catalog) -> dict[str, Cost]:
    """Per service, quota, group and for the stack; a group adds its idle minimum of nodes to the stack."""
    parts: dict[str, list[Cost]] = {"stack": []}
    for each in answer.placed:
        names = ["stack", f"services.{each.candidate.service}"]
        if each.placement and each.placement.quota:
            names.append(f"quotas.{each.placement.quota}")
        if each.placement and each.placement.group:
            names.append(f"resourceGroups.{each.placement.group}")
        for name in names:
            parts.setdefault(name, []).append(each.cost)
    for name, group in sorted(stack.resource_groups.items()):
        if group.nodes.min:
            idle = _idle(group, by_group.get(name, ()), catalog)
            parts["stack"].append(idle)
            parts.setdefault(f"resourceGroups.{name}", []).append(idle)
    return by_name(parts)


def _idle(group: ResourceGroup, members: Sequence[Placed], catalog: Catalog) -> Cost:
    """The group's minimum of nodes less what the replicas at their minimum use of them."""
    used = sum(
        each.placement.slots / each.placement.node_slots * each.candidate.declared.replicas.min
        for each in members
        if each.placement and not each.candidate.owner.stopped
    )
    instance = catalog.instances.get(group.instance_types[0])
    most = group.spot.max_per_hour if group.spot else None
    usd = node_usd(instance, catalog, most=most) if instance else None
    return idle_nodes(usd, nodes=group.nodes.min, used=used)
