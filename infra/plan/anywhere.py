"""A version that needs no GPU runs on any node of a plain cluster: what its pods ask for. Pure.

Nobody knows the nodes of such a cluster, so the size follows from the version alone:
1. Memory: the first of ROOMS that holds the model, at its own context or the longest that fits (at least 4096 tokens).
2. Cores: more for larger weights. Both are what is asked for; what a stack file declares stays.
"""

from __future__ import annotations

import math
from datetime import date

from catalog import InstanceType, Verified
from infra.plan.document import Term
from infra.plan.fit import Split, total
from infra.plan.placement import ACCELERATED, Held, Option, Sizer
from infra.plan.version import CONCURRENCY, Candidate

ANY_NODE = InstanceType(
    id="any node",
    cloud="own",
    family="",
    vcpus=0,
    memory_gib=0,
    verified=Verified.COMPUTED,
    source="no fact of any catalog",
    date=date(1970, 1, 1),
)
"""Stands where a type would: no price, no size."""
ROOMS = (4, 8, 16, 32, 64)
"""GiB of memory that are tried. What needs more is placed on a type that has it."""
CORES = ((1, 0.5), (4, 1.0), (16, 2.0), (math.inf, 4.0))
"""Cores that a replica asks for, by GiB of weights below."""
BARE_CORES = 0.25
"""Of an engine without a model."""


def anywhere(candidate: Candidate, sizer: Sizer) -> Option | None:
    """How a version runs on any node; None: it needs a GPU, or more memory than nodes usually have."""
    declared, wish, facts = candidate.owner.resources, candidate.wish, candidate.facts
    if declared.gpus or (wish and declared.gpus is None and candidate.owner.method in ACCELERATED):
        return None
    if wish is None:
        bare = (Term(name="engine", bytes=facts.process_bytes, note=f"{facts.id} process"),) if facts else ()
        context, sequences = candidate.declared.context or 0, candidate.concurrency or CONCURRENCY
        held = Held(split=Split(), context=context, concurrency=sequences, terms=bare)
        return _option(held, room=total(bare), cpus=declared.cpus or BARE_CORES, memory=declared.memory_gib)
    cores = next(cores for below, cores in CORES if wish.weight_bytes < below * 2**30)
    for gib in (declared.memory_gib,) if declared.memory_gib else ROOMS:
        room = math.floor(gib * 2**30)
        found = sizer.hold(wish, count=1, room=room, gpu=False)
        if isinstance(found, Held):
            return _option(found, room=room, cpus=declared.cpus or cores, memory=declared.memory_gib)
    return None


def _option(held: Held, *, room: int, cpus: float, memory: float | None) -> Option:
    return Option(
        instance=ANY_NODE,
        gpus=0,
        split=held.split,
        context=held.context or None,
        concurrency=held.concurrency,
        terms=held.terms,
        room=room,
        cpus=cpus,
        memory_gib=memory or max(0.25, math.ceil(total(held.terms) * 1.1 / 2**28) / 4),
        slots=1,
        node_slots=1,
        usd=None,
    )
