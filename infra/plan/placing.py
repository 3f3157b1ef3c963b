"""One version finds its place on a cluster: types are weighed, one is chosen, the lock is honoured. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from catalog import Catalog, InstanceType
from infra.plan.anywhere import anywhere
from infra.plan.change import smallest_change
from infra.plan.cost import version_cost
from infra.plan.document import Cost, Finding, Level, Placement
from infra.plan.lock import Lock, lock_key
from infra.plan.placement import Misfit, Option, Sizer, cheapest_first, evaluate, explain, placement_of
from infra.plan.version import Candidate
from infra.stackfile import EksTarget, KubernetesTarget, Stack
from infra.stackfile.errors import nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A version with its place (None: no known type holds it, or none is known)."""

    candidate: Candidate
    option: Option | None
    placement: Placement | None
    types: tuple[str, ...]
    """Instance types whose nodes may run it."""
    cost: Cost

    @property
    def slots(self) -> int:
        """Slots that a replica takes of a node; 0: unknown."""
        return self.placement.slots if self.placement else 0

    def takes(self) -> dict[str, float | None]:
        """What one replica takes of each resource that a quota can limit."""
        assert self.placement is not None
        assert self.option is not None
        gpus = self.placement.gpu_fraction or self.placement.gpus
        return {
            "gpus": gpus,
            "gpuMemoryGiB": gpus * self.option.gpu_gib,
            "cpus": self.placement.cpus,
            "memoryGiB": self.placement.memory_gib,
            "usdPerHour": self.option.usd,
        }


def cloud_types(stack: Stack, catalog: Catalog) -> tuple[InstanceType, ...]:
    """The types that `public` chooses among: EKS has AWS's, a Kubernetes cluster EAS's; the user's own everywhere."""
    cloud = "aws" if isinstance(stack.target, EksTarget) else "alibaba"
    return tuple(each for each in catalog.instances.values() if each.cloud in (cloud, "own"))


def group_of(candidate: Candidate, stack: Stack) -> str:
    """The resource group on whose nodes a version runs: named, or through its quota; empty for public resources."""
    resources = candidate.owner.resources
    if resources.quota:
        return stack.quotas[resources.quota].resource_group or ""
    return resources.group or ""


def place(
    candidate: Candidate,
    stack: Stack,
    sizer: Sizer,
    lock: Lock | None,
    cloud: Sequence[InstanceType],
    findings: list[Finding],
) -> Placed:
    """Choose a type for one version; findings are added to the list."""
    catalog = sizer.catalog
    group = group_of(candidate, stack)
    resources = candidate.owner.resources
    declared = stack.resource_groups[group].instance_types if group else resources.instance_types
    spot = stack.resource_groups[group].spot if group else resources.spot
    most = spot.max_per_hour if spot else None
    where = (
        f"resourceGroups.{group}.instanceTypes" if group else f"services.{candidate.service}.resources.instanceTypes"
    )
    findings += _unknown_types(declared, where, catalog)
    known = [catalog.instances[name] for name in declared if name in catalog.instances]
    if declared and not known:
        return _unsized(candidate, declared)
    if not declared and isinstance(stack.target, KubernetesTarget) and (found := anywhere(candidate, sizer)):
        return _anywhere(candidate, found)
    types = known or list(cloud)
    options, misfits = _weigh(candidate, types, sizer, most)
    for fewer in FEWER if candidate.concurrency is None else ():
        if options:
            break
        options, _ = _weigh(candidate.with_concurrency(fewer), types, sizer, most)
    if not options:
        findings.append(_misfit(candidate, types, misfits, cloud, sizer))
        return _unsized(candidate, declared)
    ordered, by_price = (options, False) if declared else cheapest_first(options)
    pinned = lock.instances.get(lock_key(stack.target.kind, candidate.key)) if lock and not declared else None
    chosen = ordered[0]
    if pinned is not None:
        locked = next((each for each in ordered if each.instance.id == pinned.instance_type), None)
        chosen = locked or chosen
        if locked is None:
            findings.append(_stale(candidate, pinned.instance_type, chosen))
    elif not declared and not group:
        findings.append(_unpinned(candidate))
    others = [each for each in ordered if each is not chosen]
    why = explain(
        chosen,
        others,
        misfits,
        by_price=by_price,
        pinned=pinned is not None and chosen.instance.id == pinned.instance_type,
        listed=bool(declared),
        spot=spot is not None,
    )
    placement = placement_of(
        chosen,
        fraction=resources.gpu_fraction,
        group=group,
        quota=resources.quota or "",
        why=why,
        others=others,
        chosen_here=not declared,
    )
    if candidate.wish is not None:
        placement = replace(placement, reach=sizer.reach(candidate.wish, chosen))
    same = (
        tuple(each.instance.id for each in ordered if each.gpus == chosen.gpus) if declared else (chosen.instance.id,)
    )
    bounds = candidate.declared.replicas
    cost = version_cost(chosen.usd, bounds.min, bounds.max, stopped=candidate.owner.stopped)
    return Placed(candidate=candidate, option=chosen, placement=placement, types=same, cost=cost)


def _anywhere(candidate: Candidate, option: Option) -> Placed:
    """A version that needs no certain type: any node of the cluster that has room runs it."""
    placement = placement_of(
        option,
        fraction=None,
        group="",
        quota=candidate.owner.resources.quota or "",
        why=f"it needs {option.cpus:g} cores and {option.memory_gib:g} GiB of memory, and no GPU",
        others=(),
        chosen_here=False,
    )
    bounds = candidate.declared.replicas
    cost = version_cost(None, bounds.min, bounds.max, stopped=candidate.owner.stopped)
    return Placed(candidate=candidate, option=option, placement=placement, types=(), cost=cost)


FEWER = (8, 4, 2, 1)
"""Sequences at once that are tried where none are declared and no type holds the usual number."""


def _weigh(
    candidate: Candidate, types: Sequence[InstanceType], sizer: Sizer, most: float | None
) -> tuple[list[Option], list[Misfit]]:
    """The types that hold a version, and those that do not. Versions that want the same are weighed once."""
    owner, resources = candidate.owner, candidate.owner.resources
    shape = (resources.cpus, resources.memory_gib, resources.gpus, resources.gpu_fraction)
    wants = (candidate.wish, candidate.declared.context, candidate.concurrency, candidate.engine, owner.method)
    key = (*wants, *shape, candidate.public, most, *(each.id for each in types))
    if key not in sizer.weighed:
        results = [evaluate(candidate, each, sizer, spot=most) for each in types]
        options = [each for each in results if isinstance(each, Option)]
        sizer.weighed[key] = options, [each for each in results if isinstance(each, Misfit)]
    options, misfits = sizer.weighed[key]
    return list(options), list(misfits)


def _unsized(candidate: Candidate, types: tuple[str, ...]) -> Placed:
    bounds = candidate.declared.replicas
    cost = version_cost(None, bounds.min, bounds.max, stopped=candidate.owner.stopped)
    return Placed(candidate=candidate, option=None, placement=None, types=types, cost=cost)


def _unknown_types(names: Sequence[str], path: str, catalog: Catalog) -> Iterator[Finding]:
    for name in names:
        if name not in catalog.instances:
            hint = nearest(name, catalog.instances)
            fix = f"{hint + ' or ' if hint else ''}describe it in a catalog file of your own"
            text = f"instance type {name} is not in the catalog: it is neither sized nor priced"
            yield Finding(level=Level.WARNING, rule="instance-unknown", path=path, text=text, fix=fix)


def _misfit(
    candidate: Candidate,
    types: Sequence[InstanceType],
    misfits: Sequence[Misfit],
    cloud: Sequence[InstanceType],
    sizer: Sizer,
) -> Finding:
    """The nearest miss, and the smallest change that passes."""
    near = min(misfits, key=lambda each: (each.missing or 2**62, each.instance.id))
    name = candidate.model.reference.name if candidate.model else candidate.key
    among = (
        f"none of {len(types)} instance types holds {name}; the nearest, {near.instance.id}"
        if len(types) > 1
        else f"{near.instance.id} does not hold {name}"
    )
    path, fix = smallest_change(candidate, types, cloud, sizer)
    return Finding(level=Level.ERROR, rule="fit-memory", path=path, text=f"{among}: {near.reason}", fix=fix)


def _stale(candidate: Candidate, locked: str, chosen: Option) -> Finding:
    text = f"inferform.lock pins {locked}, which does not hold it any more; {chosen.instance.id} would"
    fix = f"run `inferform lock --upgrade {candidate.key}`"
    return Finding(level=Level.ERROR, rule="lock-stale", path=f"{candidate.path}.resources", text=text, fix=fix)


def _unpinned(candidate: Candidate) -> Finding:
    text = "its instance type was chosen just now; without a lock entry another price list may choose another one"
    return Finding(
        level=Level.WARNING,
        rule="lock-unpinned",
        path=f"services.{candidate.service}.resources",
        text=text,
        fix="run `inferform lock`",
    )
