"""On which instance type does a version run, and with how many GPUs? Pure.

Rules, first to last:
1. Types that the stack file lists, or a group's, are taken in that order; public ones are the target's cloud's.
2. A type stands when some number of its GPUs (declared, or 1, 2, 4, 8) holds the model: see `fit`. The fewest GPUs win.
3. Listed types: the first that stands. Public: what the lock file names if it still stands, else the cheapest.
4. Where most types have no price they are ordered by GPU memory, then cores: said in words, for that is no price.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from catalog import Catalog, Gpu, InstanceType
from infra.plan.document import Placement, Term
from infra.plan.fit import TENSOR_SPLITS, Split, capacity, device_terms, split_problem, total
from infra.plan.units import gib
from infra.plan.version import CONCURRENCY, Candidate
from runtime.contract.version import EngineKind, Method

UNIT = 100
"""Slots of one GPU (or of one core on nodes without): fractions stay whole numbers."""
USABLE = 0.9
"""Share of a node's cores and memory that pods may ask for; the rest is the system's."""
ENOUGH_CONTEXT = 4096
"""A type must hold at least this context (or the model's own) where none is declared."""
LOWEST_CAPABILITY = {"": 7.0, "awq": 7.5, "gptq": 7.5, "fp8": 8.0}
"""CUDA compute capability that vLLM needs, by quantization."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One way to run a replica: a type, a number of its GPUs, what they hold."""

    instance: InstanceType
    gpus: int
    split: Split
    context: int | None
    concurrency: int
    terms: tuple[Term, ...]
    room: int
    cpus: float
    memory_gib: float
    slots: int
    node_slots: int
    usd: float | None
    """Per hour and replica: the share of the node."""
    gpu_gib: float = 0
    """Memory of one GPU, GiB."""

    @property
    def per_node(self) -> int:
        """Replicas that fit one node."""
        return self.node_slots // self.slots


Sizes = tuple[int | None, int, tuple[Term, ...]]
"""(context, concurrency, terms) that were chosen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """Why a type cannot run a version: bytes missing on each device (0: another reason)."""

    instance: InstanceType
    reason: str
    missing: int = 0


def node_usd(instance: InstanceType, catalog: Catalog, *, most: float | None = None) -> float | None:
    """US dollars per hour of one node, by its first price; spot capacity costs at most `most`."""
    priced = next((price for price in instance.prices if not price.spot), None)
    full = catalog.usd(priced) if priced else None
    if most is None:
        return full
    limit = catalog.usd(priced.model_copy(update={"amount": most})) if priced else most
    return limit if full is None or limit is None else min(full, limit)


def evaluate(
    candidate: Candidate, instance: InstanceType, catalog: Catalog, *, spot: float | None = None
) -> Option | Misfit:
    """The smallest share of this type that runs one replica, or why none does."""
    declared = candidate.owner.resources
    wants_gpu = candidate.model is not None and declared.gpus != 0
    if not instance.gpu:
        if wants_gpu and (declared.gpus or candidate.owner.method in (Method.VLLM, Method.BLADELLM)):
            return Misfit(instance=instance, reason="has no GPU")
        return _without_gpu(candidate, instance, catalog, spot)
    if not wants_gpu:
        return Misfit(instance=instance, reason="its GPUs would idle")
    card = catalog.gpus[instance.gpu]
    if problem := card_problem(candidate, card):
        return Misfit(instance=instance, reason=problem)
    counts = (declared.gpus,) if declared.gpus else TENSOR_SPLITS
    worst: Misfit | None = None
    for count in counts:
        if count > instance.gpus:
            break
        found = _with_gpus(candidate, instance, card, count, catalog, spot)
        if isinstance(found, Option):
            return found
        worst = found
    return worst or Misfit(instance=instance, reason=f"has {instance.gpus} GPUs, {counts[0]} are declared")


def card_problem(candidate: Candidate, card: Gpu) -> str:
    """Why a GPU model cannot run this version whatever its memory, or nothing."""
    if candidate.owner.method is Method.BLADELLM and not card.bladellm:
        return f"BladeLLM does not run on {card.name}"
    if candidate.model is None or candidate.engine is not EngineKind.VLLM:
        return ""
    kind = candidate.model.architecture.quantization
    lowest = LOWEST_CAPABILITY.get(kind, LOWEST_CAPABILITY[""])
    if card.compute_capability is not None and card.compute_capability < lowest:
        return f"{card.name} has compute capability {card.compute_capability}, {kind or 'vLLM'} needs {lowest}"
    return ""


def splits(candidate: Candidate, count: int) -> Iterator[Split]:
    """Ways to use so many GPUs: vLLM splits tensors first, then stages; Transformers puts layers in a row."""
    if candidate.engine is not EngineKind.VLLM:
        yield Split(pipeline=count)
        return
    for tensor in sorted((n for n in range(1, count + 1) if count % n == 0), reverse=True):
        yield Split(tensor=tensor, pipeline=count // tensor)


def _with_gpus(
    candidate: Candidate, instance: InstanceType, card: Gpu, count: int, catalog: Catalog, spot: float | None
) -> Option | Misfit:
    assert candidate.model is not None
    assert candidate.facts is not None
    shape, declared = candidate.model.architecture, candidate.owner.resources
    fraction = (declared.gpu_fraction if count == 1 else None) or 1.0
    room = math.floor(capacity(card.memory_mib * 2**20, candidate.facts) * fraction)
    missing, reason = 0, ""
    for split in splits(candidate, count):
        if problem := split_problem(shape, split):
            reason = reason or problem
            continue
        chosen = _longest(candidate, split, room)
        if chosen is not None:
            share = fraction * count / instance.gpus
            cpus = declared.cpus or max(1, math.floor(instance.vcpus * USABLE * share))
            memory = declared.memory_gib or max(1, math.floor(instance.memory_gib * USABLE * share))
            return _option(candidate, instance, count, split, chosen, room, cpus, memory, catalog, spot)
        least = total(_terms(candidate, split, *_least(candidate)))
        if not missing or least - room < missing:
            missing = least - room
            reason = f"{count} x {card.name} give {gib(room)} GiB each, {gib(least)} are needed"
    return Misfit(instance=instance, reason=reason, missing=missing)


def _without_gpu(candidate: Candidate, instance: InstanceType, catalog: Catalog, spot: float | None) -> Option | Misfit:
    """A replica on cores alone: weights and cache are in the node's memory."""
    declared, facts = candidate.owner.resources, candidate.facts
    room = math.floor((declared.memory_gib or instance.memory_gib * USABLE) * 2**30)
    if candidate.model is None:
        terms = (Term(name="engine", bytes=facts.process_bytes, note=f"{facts.id} process"),) if facts else ()
        chosen: Sizes | None = (candidate.declared.context, candidate.concurrency or CONCURRENCY, terms)
    else:
        chosen = _longest(candidate, Split(), room, gpu=False)
    if chosen is None:
        least = total(_terms(candidate, Split(), *_least(candidate), gpu=False))
        reason = f"{gib(room)} GiB for a pod, {gib(least)} are needed"
        return Misfit(instance=instance, reason=reason, missing=least - room)
    memory = declared.memory_gib or max(0.5, math.ceil(total(chosen[2]) * 1.1 / 2**29) / 2)
    cpus = declared.cpus or (min(4.0, instance.vcpus * USABLE) if candidate.model else 0.5)
    return _option(candidate, instance, 0, Split(), chosen, room, cpus, memory, catalog, spot)


def _terms(candidate: Candidate, split: Split, context: int, concurrency: int, *, gpu: bool = True) -> tuple[Term, ...]:
    need = candidate.need(context, concurrency)
    assert need is not None
    return device_terms(need, split, gpu=gpu)


def _least(candidate: Candidate) -> tuple[int, int]:
    """The least that must fit: what is declared, else ENOUGH_CONTEXT."""
    assert candidate.model is not None
    own = candidate.model.architecture.context
    return candidate.declared.context or min(own, ENOUGH_CONTEXT), candidate.concurrency or CONCURRENCY


def _longest(candidate: Candidate, split: Split, room: int, *, gpu: bool = True) -> Sizes | None:
    """The longest context (declared, or a power of two up to the model's own) that fits, with its terms."""
    assert candidate.model is not None
    least, concurrency = _least(candidate)
    declared = candidate.declared.context is not None
    for context in (least,) if declared else ladder(candidate.model.architecture.context, least):
        terms = _terms(candidate, split, context, concurrency, gpu=gpu)
        if total(terms) <= room:
            return context, concurrency, terms
    return None


def ladder(own: int, least: int) -> Iterator[int]:
    """The model's own context, then powers of two down to `least`."""
    yield own
    power = 1 << (own - 1).bit_length() - 1
    while power >= least:
        if power < own:
            yield power
        power //= 2


def _option(
    candidate: Candidate,
    instance: InstanceType,
    count: int,
    split: Split,
    chosen: Sizes,
    room: int,
    cpus: float,
    memory: float,
    catalog: Catalog,
    spot: float | None,
) -> Option | Misfit:
    """Requests for GPUs, cores and memory become slots of a node: the scarcest of the three counts."""
    node_slots = (instance.gpus or instance.vcpus) * UNIT
    fraction = (candidate.owner.resources.gpu_fraction if count == 1 else None) or 1.0
    by_gpu = math.ceil(count * fraction * UNIT)
    by_cpu = math.ceil(cpus / (instance.vcpus * USABLE) * node_slots - 1e-9)
    by_memory = math.ceil(memory / (instance.memory_gib * USABLE) * node_slots - 1e-9)
    if max(by_cpu, by_memory) > node_slots:
        cores = by_cpu > node_slots
        asked = f"{cpus:g} cores" if cores else f"{memory:g} GiB of memory"
        has = instance.vcpus if cores else instance.memory_gib
        return Misfit(instance=instance, reason=f"{asked} are asked for, it has {has:g}, {USABLE:.0%} of them for pods")
    # On public resources a replica has its instance to itself, as on EAS; a fraction of a GPU says that it shares.
    alone = candidate.public and fraction == 1.0
    slots = node_slots if alone else max(by_gpu, by_cpu, by_memory, 1)
    usd = node_usd(instance, catalog, most=spot)
    context, concurrency, terms = chosen
    return Option(
        instance=instance,
        gpus=count,
        split=split,
        context=context,
        concurrency=concurrency,
        terms=terms,
        room=room,
        cpus=cpus,
        memory_gib=memory,
        slots=slots,
        node_slots=node_slots,
        usd=None if usd is None else usd * slots / node_slots,
        gpu_gib=catalog.gpus[instance.gpu].memory_mib / 1024 if instance.gpu else 0,
    )


def cheapest_first(options: Sequence[Option]) -> tuple[list[Option], bool]:
    """Options in order, and whether that is an order by price.

    By price where half or more have one (those without come last), else by size: one price among many says nothing.
    """
    if 2 * sum(option.usd is not None for option in options) >= len(options):
        return sorted(options, key=lambda each: (each.usd is None, each.usd or 0, each.instance.id)), True

    def size_of(each: Option) -> tuple[float, ...]:
        share = each.slots / each.node_slots
        return share * each.gpu_gib * each.instance.gpus, share * each.instance.vcpus, share * each.instance.memory_gib

    return sorted(options, key=lambda each: (*size_of(each), each.instance.id)), False


def explain(
    chosen: Option, others: Sequence[Option], misfits: Sequence[Misfit], *, by_price: bool, pinned: bool, listed: bool
) -> str:
    """Why this type, in a sentence."""
    fitting = len(others) + 1
    if pinned:
        reason = "inferform.lock names it"
    elif listed:
        reason = "the first of the list that holds it"
    elif by_price:
        reason = f"the cheapest of {fitting} that hold it"
    else:
        reason = f"the smallest of {fitting} that hold it (most prices are unknown)"
    price = "" if chosen.usd is None else f", {chosen.usd:.2f} USD/h a replica"
    rest = f"; {len(misfits)} do not hold it" if misfits else ""
    return f"{reason}{price}{rest}"


def runners_up(others: Sequence[Option]) -> tuple[str, ...]:
    """The next three, each with its price."""
    return tuple(each.instance.id + ("" if each.usd is None else f" ({each.usd:.2f} USD/h)") for each in others[:3])


def placement_of(
    chosen: Option, *, fraction: float | None, group: str, quota: str, why: str, others: Sequence[Option]
) -> Placement:
    """The document's form of a chosen option."""
    return Placement(
        instance_type=chosen.instance.id,
        gpus=chosen.gpus,
        gpu_fraction=fraction if chosen.gpus == 1 else None,
        tensor=chosen.split.tensor,
        pipeline=chosen.split.pipeline,
        cpus=chosen.cpus,
        memory_gib=chosen.memory_gib,
        slots=chosen.slots,
        node_slots=chosen.node_slots,
        room_bytes=chosen.room,
        group=group,
        quota=quota,
        why=why,
        runners_up=runners_up(others),
    )
