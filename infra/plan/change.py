"""The smallest change that makes a misfit fit. Pure. Tried in the order of what a user gives up least."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from catalog import Catalog, InstanceType
from infra.plan.placement import Option, Sizer, cheapest_first, evaluate
from infra.plan.resolve import from_catalog_id
from infra.plan.version import Candidate

SHORTEST = 1024
Try = tuple[str, str, Candidate]
"""(field of the path, what to write, the version as it would then be)."""


def smallest_change(
    candidate: Candidate, types: Sequence[InstanceType], cloud: Sequence[InstanceType], sizer: Sizer
) -> tuple[str, str]:
    """(path, fix) for a version that none of `types` holds.

    1. A shorter declared context, by powers of two.
    2. Fewer sequences at once.
    3. Another number of GPUs on the same types.
    4. Another instance type of the same cloud, the cheapest that holds it as it is.
    5. A quantized sibling of the catalog.
    """
    for field, fix, changed in _smaller(candidate):
        if _fits(changed, types, sizer):
            return f"{candidate.path}.{field}", fix
    if options := _options(candidate, cloud, sizer):
        best = cheapest_first(options)[0][0]
        number = f", gpus: {best.gpus}" if candidate.owner.resources.gpus else ""
        return f"services.{candidate.service}.resources", f"instanceTypes: [{best.instance.id}]{number}"
    for sibling in siblings(candidate, sizer.catalog):
        model = from_catalog_id(sibling, sizer.catalog)
        if model is not None and _fits(replace(candidate, model=model), types, sizer):
            return f"{candidate.path}.model", f"model: {sibling}"
    return f"{candidate.path}.model", "a smaller model, or instance types with more GPU memory"


def _smaller(candidate: Candidate) -> Iterator[Try]:
    context = candidate.declared.context
    shorter = 1 << ((context or 0) - 1).bit_length() - 1 if context else 0
    while shorter >= SHORTEST:
        yield "context", f"context: {shorter}", _declared(candidate, context=shorter)
        shorter //= 2
    fewer = (candidate.concurrency or 16) // 2
    while fewer >= 1:
        yield "concurrency", f"concurrency: {fewer}", _declared(candidate, concurrency=fewer)
        fewer //= 2
    resources = candidate.owner.resources
    for count in (1, 2, 4, 8):
        if resources.gpus and count != resources.gpus:
            owner = candidate.owner.model_copy(update={"resources": resources.model_copy(update={"gpus": count})})
            yield "resources.gpus", f"gpus: {count}", replace(candidate, owner=owner)


def _declared(candidate: Candidate, **fields: int) -> Candidate:
    return replace(candidate, declared=candidate.declared.model_copy(update=fields))


def siblings(candidate: Candidate, catalog: Catalog) -> Iterator[str]:
    """Catalog ids of the same model in fewer bits: those that continue its name."""
    if candidate.model is None:
        return
    name = candidate.model.reference.name
    quantized: Callable[[str], bool] = lambda key: "quantization_config" in catalog.models[key].config  # noqa: E731
    yield from sorted(key for key in catalog.models if key.startswith(f"{name}-") and quantized(key))


def _options(candidate: Candidate, types: Sequence[InstanceType], sizer: Sizer) -> list[Option]:
    return [found for each in types if isinstance(found := evaluate(candidate, each, sizer), Option)]


def _fits(candidate: Candidate, types: Sequence[InstanceType], sizer: Sizer) -> bool:
    return any(isinstance(evaluate(candidate, each, sizer), Option) for each in types)
