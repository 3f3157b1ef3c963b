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
from infra.plan.document import Placement, Reach, Term
from infra.plan.fit import TENSOR_SPLITS, Split, capacity, device_terms, split_problem, total
from infra.plan.reach import reach
from infra.plan.units import gib
from infra.plan.version import CONCURRENCY, Candidate, Wish
from runtime.contract.version import EngineKind, Method

UNIT = 100
"""Slots of one GPU (or of one core on nodes without): fractions stay whole numbers."""
USABLE = 0.9
"""Share of a node's cores and memory that pods may ask for; the rest is the system's."""
ENOUGH_CONTEXT = 4096
"""A type must hold at least this context (or the model's own) where none is declared."""
ACCELERATED = (Method.VLLM, Method.BLADELLM)
"""Methods that run on GPUs unless `gpus: 0` says otherwise."""
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
    candidate: Candidate, instance: InstanceType, sizer: Sizer, *, spot: float | None = None
) -> Option | Misfit:
    """The smallest share of this type that runs one replica, or why none does."""
    declared, wish = candidate.owner.resources, candidate.wish
    if not instance.gpu:
        if wish and (declared.gpus or (declared.gpus is None and candidate.owner.method in ACCELERATED)):
            return Misfit(instance=instance, reason="has no GPU")
        return _without_gpu(candidate, instance, sizer, spot)
    if wish is None or declared.gpus == 0:
        return Misfit(instance=instance, reason="its GPUs would idle")
    card = sizer.catalog.gpus[instance.gpu]
    if problem := card_problem(candidate, card):
        return Misfit(instance=instance, reason=problem)
    worst: Misfit | None = None
    for count in (declared.gpus,) if declared.gpus else TENSOR_SPLITS:
        if count > instance.gpus:
            break
        found = _with_gpus(candidate, wish, instance, card, count, sizer, spot)
        if isinstance(found, Option):
            return found
        worst = found
    return worst or Misfit(instance=instance, reason=f"has {instance.gpus} GPUs, {declared.gpus} are declared")


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


def splits(engine: str, count: int) -> Iterator[Split]:
    """Ways to use so many GPUs: vLLM splits tensors first, then stages; Transformers puts layers in a row."""
    if engine != EngineKind.VLLM.value:
        yield Split(pipeline=count)
        return
    for tensor in sorted((n for n in range(1, count + 1) if count % n == 0), reverse=True):
        yield Split(tensor=tensor, pipeline=count // tensor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A wish that so many devices hold: how it is split, how long its context may be, what each device has."""

    split: Split
    context: int
    concurrency: int
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotHeld:
    """A wish that they do not hold: bytes missing on each at the least (0: no split divides the model)."""

    missing: int
    reason: str


class Sizer:
    """Sizes wishes for one catalog and remembers: many services run the same model on the same GPUs."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._known: dict[tuple[Wish, int, int, bool], Held | NotHeld] = {}
        self._reached: dict[tuple[object, ...], Reach] = {}
        self.weighed: dict[tuple[object, ...], tuple[list[Option], list[Misfit]]] = {}

    def hold(self, wish: Wish, *, count: int, room: int, gpu: bool) -> Held | NotHeld:
        """Can `count` devices with `room` bytes each hold it?"""
        key = (wish, count, room, gpu)
        if key not in self._known:
            self._known[key] = self._hold(wish, count, room, gpu)
        return self._known[key]

    def reach(self, wish: Wish, option: Option) -> Reach | None:
        """How far the devices of a chosen option could go; None without a context."""
        if option.context is None:
            return None
        key = (wish, option.split, option.room, option.gpus > 0, option.context, option.concurrency)
        if key not in self._reached:
            self._reached[key] = reach(
                wish,
                self.catalog.engines[wish.engine],
                split=option.split,
                room=option.room,
                gpu=option.gpus > 0,
                context=option.context,
                concurrency=option.concurrency,
            )
        return self._reached[key]

    def _hold(self, wish: Wish, count: int, room: int, gpu: bool) -> Held | NotHeld:
        engine = self.catalog.engines[wish.engine]
        missing, reason = 0, ""
        least = wish.context or min(wish.architecture.context, ENOUGH_CONTEXT)
        for split in splits(wish.engine, count):
            if problem := split_problem(wish.architecture, split):
                reason = reason or problem
                continue
            for context in (least,) if wish.context else ladder(wish.architecture.context, least):
                terms = device_terms(wish.need(context, wish.concurrency, engine), split, gpu=gpu)
                if total(terms) <= room:
                    return Held(split=split, context=context, concurrency=wish.concurrency, terms=terms)
            short = total(terms) - room  # of the shortest context
            if not missing or short < missing:
                missing = short
                reason = f"{gib(room)} GiB each, {gib(room + short)} are needed"
        return NotHeld(missing=missing, reason=reason)


def _with_gpus(
    candidate: Candidate, wish: Wish, instance: InstanceType, card: Gpu, count: int, sizer: Sizer, spot: float | None
) -> Option | Misfit:
    declared = candidate.owner.resources
    fraction = (declared.gpu_fraction if count == 1 else None) or 1.0
    room = math.floor(capacity(card.memory_mib * 2**20, sizer.catalog.engines[wish.engine]) * fraction)
    held = sizer.hold(wish, count=count, room=room, gpu=True)
    if isinstance(held, NotHeld):
        reason = f"{count} x {card.name} give {held.reason}" if held.missing else held.reason
        return Misfit(instance=instance, reason=reason, missing=held.missing)
    share = fraction * count / instance.gpus
    cpus = declared.cpus or max(1, math.floor(instance.vcpus * USABLE * share))
    memory = declared.memory_gib or max(1, math.floor(instance.memory_gib * USABLE * share))
    return _option(candidate, instance, count, held, room, cpus, memory, sizer.catalog, spot)


def _without_gpu(candidate: Candidate, instance: InstanceType, sizer: Sizer, spot: float | None) -> Option | Misfit:
    """A replica on cores alone: weights and cache are in the node's memory."""
    declared, facts, wish = candidate.owner.resources, candidate.facts, candidate.wish
    room = math.floor((declared.memory_gib or instance.memory_gib * USABLE) * 2**30)
    if wish is None:
        bare = (Term(name="engine", bytes=facts.process_bytes, note=f"{facts.id} process"),) if facts else ()
        context, wanted = candidate.declared.context or 0, candidate.concurrency or CONCURRENCY
        held: Held | NotHeld = Held(split=Split(), context=context, concurrency=wanted, terms=bare)
    else:
        held = sizer.hold(wish, count=1, room=room, gpu=False)
    if isinstance(held, NotHeld):
        return Misfit(instance=instance, reason=f"a pod has {held.reason}", missing=held.missing)
    memory = declared.memory_gib or max(0.5, math.ceil(total(held.terms) * 1.1 / 2**29) / 2)
    cpus = declared.cpus or (min(4.0, instance.vcpus * USABLE) if wish else 0.5)
    return _option(candidate, instance, 0, held, room, cpus, memory, sizer.catalog, spot)


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
    held: Held,
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
    return Option(
        instance=instance,
        gpus=count,
        split=held.split,
        context=held.context or None,
        concurrency=held.concurrency,
        terms=held.terms,
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
    chosen: Option,
    others: Sequence[Option],
    misfits: Sequence[Misfit],
    *,
    by_price: bool,
    pinned: bool,
    listed: bool,
    spot: bool,
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
    most = "at most " if spot else ""
    price = "" if chosen.usd is None else f", {most}{chosen.usd:.2f} USD/h a replica"
    rest = f"; {len(misfits)} {'does' if len(misfits) == 1 else 'do'} not hold it" if misfits else ""
    return f"{reason}{price}{rest}"


def runners_up(others: Sequence[Option]) -> tuple[str, ...]:
    """The next three, each with its price."""
    return tuple(each.instance.id + ("" if each.usd is None else f" ({each.usd:.2f} USD/h)") for each in others[:3])


def placement_of(
    chosen: Option,
    *,
    fraction: float | None,
    group: str,
    quota: str,
    why: str,
    others: Sequence[Option],
    chosen_here: bool,
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
        chosen=chosen_here,
    )
