"""Target local: does everything fit this machine, and how may versions be replaced on it? Pure.

Rules of sizing, for a version that does not declare its context:
1. The model's own context, when a replica then takes at most a quarter of the machine (room for more, and a rollout).
2. Else the longest power of two (down to 2048) that keeps it within a quarter.
3. Else the same within a half, then within the whole, each with fewer sequences at once if need be.
Neighbours and replica counts play no part: a changed bound must never change a version's hash.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from infra.plan.document import Finding, Level, RolloutPlan, Term
from infra.plan.fit import Split, capacity, device_terms, total
from infra.plan.machine import Machine
from infra.plan.units import counted, gib
from infra.plan.version import CONCURRENCY, Candidate
from runtime.contract.version import EngineKind

SHORTEST = 2048
FEWER = (8, 4, 2, 1)
RESERVE = 2**29
"""Kept for the system, the host and the gateway, besides RESERVE_SHARE of the whole."""
RESERVE_SHARE = 0.03
PLACE = "this machine"
NOTHING = "no version of it can be planned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """A version with its context, concurrency and memory; terms are per replica (per GPU where it has GPUs)."""

    candidate: Candidate
    context: int | None
    concurrency: int
    terms: tuple[Term, ...]
    gpus: int = 0

    @property
    def memory(self) -> int:
        """Bytes of the machine's memory that one replica takes."""
        facts = self.candidate.facts
        if self.gpus and facts is not None:
            return facts.process_bytes
        return total(self.terms)


def usable(machine: Machine) -> int:
    """Bytes that replicas may take together."""
    return max(0, machine.memory_bytes - RESERVE - int(machine.memory_bytes * RESERVE_SHARE))


def size(candidate: Candidate, machine: Machine | None) -> Sized:
    """Choose context and concurrency where they are not declared, and add up one replica's memory."""
    gpus = candidate.owner.resources.gpus or 0
    if candidate.model is None:
        facts = candidate.facts
        bare = (Term(name="engine", bytes=facts.process_bytes, note=f"{facts.id} process"),) if facts else ()
        return Sized(
            candidate=candidate,
            context=candidate.declared.context,
            concurrency=candidate.concurrency or CONCURRENCY,
            terms=bare,
            gpus=gpus,
        )
    context, concurrency = choose(candidate, machine, gpus)
    terms = replica_terms(candidate, context, concurrency, gpus)
    return Sized(candidate=candidate, context=context, concurrency=concurrency, terms=terms, gpus=gpus)


def replica_terms(candidate: Candidate, context: int, concurrency: int, gpus: int) -> tuple[Term, ...]:
    """One replica's terms; with GPUs those of one GPU: vLLM splits tensors, Transformers puts layers in a row."""
    need = candidate.need(context, concurrency)
    assert need is not None
    split = Split(tensor=max(1, gpus)) if candidate.engine is EngineKind.VLLM else Split(pipeline=max(1, gpus))
    return device_terms(need, split, gpu=gpus > 0)


def choose(candidate: Candidate, machine: Machine | None, gpus: int) -> tuple[int, int]:
    """(context, concurrency): declared values stay; see the rules above."""
    assert candidate.model is not None
    own = candidate.model.architecture.context
    declared, wanted = candidate.declared.context, candidate.concurrency or CONCURRENCY
    if machine is None or declared is not None:
        return declared or own, wanted
    if gpus and machine.gpus and candidate.facts is not None:
        budgets: Sequence[int] = (capacity(machine.gpus[0].memory_bytes, candidate.facts),)
    else:
        whole = usable(machine)
        budgets = (whole // 4, whole // 2, whole)
    fewer = () if candidate.concurrency else tuple(count for count in FEWER if count < wanted)
    for budget in budgets:
        quarter = len(budgets) > 1 and budget == budgets[0]
        for concurrency in (wanted, *(() if quarter else fewer)):
            for context in contexts(own):
                if total(replica_terms(candidate, context, concurrency, gpus)) <= budget:
                    return context, concurrency
    return min(own, SHORTEST), wanted


def contexts(own: int) -> Iterator[int]:
    """The model's own context, then powers of two below it, down to SHORTEST."""
    yield own
    power = 1 << (own - 1).bit_length() - 1
    while power >= SHORTEST:
        if power < own:
            yield power
        power //= 2


def memory_findings(sized: Sequence[Sized], machine: Machine) -> Iterator[Finding]:
    """Memory of every version at its maximum against this machine's.

    1. One replica alone exceeds the machine: that version is named, with what would fit.
    2. All together at maximum exceed it: the largest is named, with the bound or context that would fit.
    3. GPUs that are declared exist, and hold their share.
    4. Engine vllm is set up where a version asks for it.
    """
    room = usable(machine)
    alone = [each for each in sized if each.memory > room]
    for each in alone:
        yield _too_large(each, room, machine)
    together = sum(each.memory * each.candidate.most for each in sized)
    if not alone and together > room:
        yield _too_many(sized, together, room, machine)
    yield from _gpu_findings(sized, machine)
    yield from _vllm_findings(sized, machine)
    yield from _cpu_findings(sized, machine)


def _vllm_findings(sized: Sequence[Sized], machine: Machine) -> Iterator[Finding]:
    for each in sized:
        if each.candidate.engine is EngineKind.VLLM and not machine.vllm:
            text = "engine vllm has its own virtual environment, and it is not set up on this machine"
            yield _error("vllm-missing", f"{each.candidate.path}.engine", text, "run scripts/setup --vllm")


def _error(rule: str, path: str, text: str, fix: str) -> Finding:
    return Finding(level=Level.ERROR, rule=rule, path=path, text=text, fix=fix)


def breakdown(terms: Sequence[Term]) -> str:
    """`weights 14.2 + KV cache 3.5 + ...` in GiB, the largest first."""
    ordered = sorted(terms, key=lambda term: -term.bytes)
    return " + ".join(f"{term.name} {gib(term.bytes)}" for term in ordered)


def _machine_text(machine: Machine, room: int) -> str:
    return f"this machine has {gib(machine.memory_bytes)} GiB, {gib(room)} of it for replicas"


def _too_large(each: Sized, room: int, machine: Machine) -> Finding:
    candidate = each.candidate
    text = f"a replica needs {gib(each.memory)} GiB ({breakdown(each.terms)}); {_machine_text(machine, room)}"
    fix, field = "choose a smaller model", "model"
    if candidate.model is not None:
        if fitting := largest_context(candidate, each.concurrency, each.gpus, room):
            fix, field = f"context: {fitting}", "context"
        elif fewer := most_sequences(candidate, each.context or SHORTEST, each.gpus, room):
            fix, field = f"concurrency: {fewer}", "concurrency"
    return _error("fit-memory", f"{candidate.path}.{field}", text, fix)


def largest_context(candidate: Candidate, concurrency: int, gpus: int, room: int) -> int:
    """The longest context (a power of two, at least 1024) at which one replica fits; 0: none."""
    assert candidate.model is not None
    for context in (*contexts(candidate.model.architecture.context), 1024):
        if total(replica_terms(candidate, context, concurrency, gpus)) <= room:
            return context
    return 0


def most_sequences(candidate: Candidate, context: int, gpus: int, room: int) -> int:
    """The most sequences at once at which one replica fits; 0: none."""
    return next((n for n in FEWER if total(replica_terms(candidate, context, n, gpus)) <= room), 0)


def _too_many(sized: Sequence[Sized], together: int, room: int, machine: Machine) -> Finding:
    largest = max(sized, key=lambda each: (each.memory * each.candidate.most, each.candidate.key))
    others = together - largest.memory * largest.candidate.most
    bound = (room - others) // largest.memory
    candidate, low = largest.candidate, largest.candidate.declared.replicas.min
    heaviest = sorted(sized, key=lambda each: -each.memory)[:4]
    names = ", ".join(f"{each.candidate.key} {each.candidate.most} x {gib(each.memory)}" for each in heaviest)
    more = ", ..." if len(sized) > 4 else ""
    text = f"all replicas at their maximum need {gib(together)} GiB ({names}{more}); {_machine_text(machine, room)}"
    if bound >= max(1, low):
        return _error("fit-memory", f"{candidate.path}.replicas.max", text, f"max: {bound} for {candidate.key}")
    if candidate.model is not None and room > others:
        share = (room - others) // candidate.most
        if context := largest_context(candidate, largest.concurrency, largest.gpus, share):
            return _error("fit-memory", f"{candidate.path}.context", text, f"context: {context} for {candidate.key}")
    fix = "fewer replicas, shorter contexts or smaller models"
    return _error("fit-memory", f"{candidate.path}.replicas.max", text, fix)


def _gpu_findings(sized: Sequence[Sized], machine: Machine) -> Iterator[Finding]:
    wanted = sum(each.gpus * each.candidate.most for each in sized)
    if wanted > len(machine.gpus):
        each = max(sized, key=lambda one: one.gpus * one.candidate.most)
        text = f"{counted(wanted, 'GPU')} wanted at maximum replicas, this machine has {len(machine.gpus)}"
        path = f"services.{each.candidate.service}.resources.gpus"
        yield _error("fit-gpus", path, text, "gpus: 0" if not machine.gpus else "fewer replicas or GPUs each")
        return
    for each in sized:
        if each.gpus and each.candidate.facts is not None:
            gpu = min(machine.gpus, key=lambda one: one.memory_bytes)
            room = capacity(gpu.memory_bytes, each.candidate.facts)
            if total(each.terms) > room:
                held = f"a GPU must hold {gib(total(each.terms))} GiB ({breakdown(each.terms)})"
                text = f"{held}, {gpu.name} gives {gib(room)}"
                fitting = 0
                if each.candidate.model:
                    fitting = largest_context(each.candidate, each.concurrency, each.gpus, room)
                fix = f"context: {fitting}" if fitting else "more GPUs for each replica, or a smaller model"
                yield _error("fit-memory", f"{each.candidate.path}.context", text, fix)


def _cpu_findings(sized: Sequence[Sized], machine: Machine) -> Iterator[Finding]:
    declared = [each for each in sized if each.candidate.owner.resources.cpus]
    wanted = sum((each.candidate.owner.resources.cpus or 0) * each.candidate.most for each in declared)
    if wanted > machine.cpus:
        each = max(declared, key=lambda one: (one.candidate.owner.resources.cpus or 0) * one.candidate.most)
        text = f"{wanted:g} CPU cores wanted at maximum replicas, this machine has {machine.cpus}"
        others = wanted - (each.candidate.owner.resources.cpus or 0) * each.candidate.most
        left = (machine.cpus - others) / each.candidate.most
        fix = f"cpus: {left:.2g}" if left > 0 else "fewer replicas or cores each"
        yield _error("fit-cpus", f"services.{each.candidate.service}.resources.cpus", text, fix)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What every version of the stack takes together at its maximum."""

    memory: int
    gpus: int


def taken(sized: Sequence[Sized]) -> Taken:
    """Add up the whole stack."""
    return Taken(
        memory=sum(each.memory * each.candidate.most for each in sized),
        gpus=sum(each.gpus * each.candidate.most for each in sized),
    )


def decide_rollout(
    name: str, own: Sequence[Sized], whole: Taken, machine: Machine | None
) -> tuple[RolloutPlan, list[Finding]]:
    """How the versions of service `name` (`own`) are replaced on one machine that holds `whole`.

    1. `recreate` declared: recreate.
    2. No machine known, or no version that could be planned: surge, as if there were room.
    3. Old and new replicas of the service's largest version fit beside everything at its maximum: surge.
    4. `surge` declared and no room: an error, for the update could never finish.
    5. Otherwise recreate, and requests wait.
    """
    declared = own[0].candidate.owner.rollout if own else None
    surge = declared.surge if declared else 1
    if declared and declared.strategy == "recreate":
        return RolloutPlan(strategy="recreate", reason="declared, requests wait meanwhile", surge=surge), []
    if machine is None or not own:
        reason = "the machine is not known; room is assumed" if own else NOTHING
        return RolloutPlan(strategy="surge", reason=reason, surge=surge), []
    room = usable(machine)
    extra = max((each.memory * each.candidate.most for each in own), default=0)
    extra_gpus = max((each.gpus * each.candidate.most for each in own), default=0)
    gpus = whole.gpus + extra_gpus
    peak = whole.memory + extra
    numbers = f"old and new together need {gib(peak)} GiB at most, {gib(room)} GiB are there for replicas"
    fits = peak <= room
    if fits and extra_gpus and gpus > len(machine.gpus):
        fits, numbers = False, f"old and new together need {gpus} GPUs, this machine has {len(machine.gpus)}"
    if fits:
        return RolloutPlan(strategy="surge", reason=numbers, surge=surge), []
    path = f"services.{name}.rollout.strategy"
    if declared and declared.strategy == "surge":
        text = f"strategy surge cannot work: {numbers}"
        fix = "strategy: auto (requests wait during an update) or a lower replicas.max"
        finding = _error("rollout-no-room", path, text, fix)
        return RolloutPlan(strategy="surge", reason=numbers, surge=surge), [finding]
    text = f"a new version replaces the old one in its place: {numbers}; requests wait meanwhile"
    fix = "a lower replicas.max or context leaves room for both"
    note = Finding(level=Level.NOTE, rule="rollout-recreate", path=path, text=text, fix=fix)
    # When not even the declared replicas fit, another finding says so, and this one would only add noise.
    alone = whole.memory <= room and whole.gpus <= len(machine.gpus)
    return RolloutPlan(strategy="recreate", reason=numbers, surge=surge), [note] if alone else []
