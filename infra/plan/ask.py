"""One question without a stack file: does this model fit that GPU? Pure; the plugin's function `fit` answers so."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from catalog import Catalog
from infra.plan.document import Term
from infra.plan.fit import TENSOR_SPLITS, capacity
from infra.plan.placement import Held, Sizer
from infra.plan.reach import reach
from infra.plan.resolve import from_catalog_id
from infra.plan.version import CONCURRENCY, Wish
from infra.stackfile.errors import nearest

Entry = TypeVar("Entry")


class UnknownName(ValueError):
    """A model, GPU or engine that the catalog does not know; the text has the nearest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The answer. Terms are those of the fullest GPU; bytes. Every number is an estimate, unmeasured."""

    fits: bool
    reason: str
    gpus: int = 0
    tensor: int = 0
    pipeline: int = 0
    context: int = 0
    concurrency: int = 0
    terms: tuple[Term, ...] = ()
    room_bytes: int = 0
    largest_context: int = 0
    most_concurrency: int = 0


def fit_of(
    catalog: Catalog,
    *,
    model: str,
    gpu: str,
    gpus: int | None = None,
    context: int | None = None,
    concurrency: int | None = None,
    engine: str = "vllm",
) -> Fit:
    """Does a catalog model fit so many of a GPU (the fewest of 1, 2, 4 and 8 that hold it)? Raises UnknownName."""
    card = _known(gpu, catalog.gpus, "GPU")
    facts = _known(engine, catalog.engines, "engine")
    entry = _known(model, catalog.models, "model")
    resolved = from_catalog_id(entry.id, catalog)
    if resolved is None:
        return Fit(fits=False, reason=f"{entry.id} has no architecture that sizing knows")
    wish = Wish(
        architecture=resolved.architecture,
        weight_bytes=resolved.weight_bytes,
        vision_bytes=resolved.vision_bytes,
        adapter_bytes=0,
        cache_width=None,
        engine=facts.id,
        context=context,
        concurrency=concurrency or CONCURRENCY,
    )
    room, sizer, reason = capacity(card.memory_mib * 2**20, facts), Sizer(catalog), ""
    for count in (gpus,) if gpus else TENSOR_SPLITS:
        held = sizer.hold(wish, count=count, room=room, gpu=True)
        if isinstance(held, Held):
            edge = reach(
                wish, facts, split=held.split, room=room, gpu=True, context=held.context, concurrency=held.concurrency
            )
            return Fit(
                fits=True,
                reason=f"{count} x {card.name} hold it",
                gpus=count,
                tensor=held.split.tensor,
                pipeline=held.split.pipeline,
                context=held.context,
                concurrency=held.concurrency,
                terms=held.terms,
                room_bytes=room,
                largest_context=edge.context,
                most_concurrency=edge.concurrency,
            )
        reason = f"{count} x {card.name} give {held.reason}" if held.missing else held.reason
    return Fit(fits=False, reason=reason, room_bytes=math.floor(room))


def _known(name: str, entries: Mapping[str, Entry], kind: str) -> Entry:
    if name not in entries:
        hint = nearest(name, entries)
        raise UnknownName(f"{name} is not a {kind} of the catalog" + (f"; {hint}" if hint else ""))
    return entries[name]
