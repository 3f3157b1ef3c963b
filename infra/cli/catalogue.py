"""The catalog's models as tables: searched, and by what fits a GPU. Pure but for reading the catalog's files."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from catalog import Catalog, Gpu, Model, load
from infra.cli.failure import Failure
from infra.plan.architecture import UnknownArchitecture, read
from infra.plan.fit import TENSOR_SPLITS, Need, Split, capacity, device_terms, split_problem, total

CONTEXT, SEQUENCES = 4096, 16
"""What --fits serves: so many tokens of so many sequences at once, on vLLM."""
Found = tuple[Model, int | None]


def found(*, search: str = "", gpu: str = "") -> list[Found]:
    """Models by id with the GPUs that each needs (None: not asked). Raises Failure for a GPU that nobody knows."""
    catalog = load()
    card = _gpu(catalog, gpu) if gpu else None
    rows: list[Found] = []
    for name in sorted(catalog.models, key=str.lower):
        model = catalog.models[name]
        text = " ".join((model.id, model.family, model.huggingface or "", model.modelscope or "")).lower()
        if search.lower() not in text:
            continue
        gpus = gpus_needed(model, card, catalog) if card else None
        if card is None or gpus is not None:
            rows.append((model, gpus))
    return rows


def one(name: str) -> Model:
    """A model by id; raises Failure that names the nearest."""
    known = load().models
    by_lower = {each.lower(): each for each in known}
    if name.lower() in by_lower:
        return known[by_lower[name.lower()]]
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    raise Failure(
        f"the catalog has no model {name}",
        f"did you mean {by_lower[near[0]]}?"
        if near
        else "`inferform models` lists them; others are named by hf://, s3:// or a path",
    )


def gpus_needed(model: Model, gpu: Gpu, catalog: Catalog) -> int | None:
    """The fewest GPUs that hold the model for CONTEXT x SEQUENCES on vLLM; None when 8 do not."""
    try:
        shape = read(model.config)
    except UnknownArchitecture:
        return None
    engine = catalog.engines["vllm"]
    context = min(CONTEXT, int(model.config.get("max_position_embeddings", CONTEXT)))
    need = Need(
        architecture=shape, weight_bytes=model.weight_bytes, context=context, concurrency=SEQUENCES, engine=engine
    )
    room = capacity(gpu.memory_mib * 2**20, engine)
    for tensor in TENSOR_SPLITS:
        split = Split(tensor=tensor)
        if not split_problem(shape, split) and total(device_terms(need, split, gpu=True)) <= room:
            return tensor
    return None


def table(models: Sequence[Found], *, gpu: str = "") -> str:
    """A row per model."""
    if not models:
        return "no model of the catalog matches\n"
    header = ("MODEL", "PARAMETERS", "WEIGHTS", "CONTEXT", "METHODS", "LICENCE", *(["GPUS"] if gpu else []))
    rows = [header]
    for model, gpus in models:
        context = model.config.get("max_position_embeddings")
        rows.append(
            (
                model.id,
                amount(model.parameters),
                f"{model.weight_bytes / 2**30:.1f} GiB",
                str(context) if context else "-",
                ",".join(model.methods),
                model.licence,
                *([f"{gpus} x {gpu}"] if gpu else []),
            )
        )
    end = f"GPUS: on vLLM, for {SEQUENCES} sequences of {CONTEXT} tokens; an estimate, unmeasured.\n" if gpu else ""
    return _columns(rows) + end


def details(model: Model) -> str:
    """Everything about one model, then where it was read."""
    active = f", {amount(model.active_parameters)} active for one token" if model.active_parameters else ""
    rows = [
        ("model", model.id),
        ("family", model.family),
        ("kind", f"{model.kind} ({', '.join(model.modalities)})"),
        ("parameters", f"{model.parameters} ({amount(model.parameters)}{active})"),
        ("weights", f"{model.weight_bytes} bytes ({model.weight_bytes / 2**30:.1f} GiB)"),
        ("methods", ", ".join(model.methods)),
        ("licence", model.licence + (", gated" if model.gated else "")),
        ("from", ", ".join(source for source in _sources(model)) or "-"),
        *(("config", f"{key}: {value}") for key, value in model.config.items()),
        *((f"args of {engine}", str(arguments)) for engine, arguments in model.engine_args.items()),
        ("verified", f"{model.verified.value}, {model.date}"),
        ("source", model.source),
    ]
    if model.note:
        rows.append(("note", model.note))
    return _columns(rows)


def amount(number: int) -> str:
    """135 M, 7.6 B."""
    return f"{number / 1e9:.1f} B" if number >= 1e9 else f"{number / 1e6:.0f} M"


def _sources(model: Model) -> Iterable[str]:
    if model.embedded:
        yield "comes with this distribution"
    if model.huggingface:
        yield f"hf://{model.huggingface}"
    if model.modelscope:
        yield f"modelscope://{model.modelscope}"


def _gpu(catalog: Catalog, name: str) -> Gpu:
    """A GPU by id or name, or by a part of its id that no other has: `a10`, `v100-32`."""
    by_name = {text.lower(): gpu for gpu in catalog.gpus.values() for text in (gpu.id, gpu.name)}
    if name.lower() in by_name:
        return by_name[name.lower()]
    words = name.lower().split("-")
    meant = [gpu for gpu in catalog.gpus.values() if set(words) <= set(gpu.id.lower().split("-"))]
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise Failure(f"{name} may be {' or '.join(gpu.id for gpu in meant)}", "name one of them")
    raise Failure(f"the catalog has no GPU {name}", f"known: {', '.join(sorted(catalog.gpus))}")


def _columns(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines) + "\n"
