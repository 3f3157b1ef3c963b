"""Which entries a stack needs, which are missing, and the lock file that has them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from catalog import Catalog
from infra.lock._inspect import mounted_digest
from infra.plan import Plan, make
from infra.plan.lock import FILE, Lock, LockedChoice, LockedModel, lock_key
from infra.plan.mounts import copied_buckets, located
from infra.stackfile import Stack, model_source
from runtime.contract.mounts import EMPTY

Inspect = Callable[[str], LockedModel]
Digest = Callable[[str], str]
"""What a mounted bucket holds now, as one hash."""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The new lock file and what is different in it, a line each: `+ NAME ...`, `~ NAME ...`, `- NAME`."""

    lock: Lock
    lines: tuple[str, ...] = field(default=())


def needed(stack: Stack, catalog: Catalog) -> Iterator[tuple[str, str]]:
    """(service/version, source) of every model or adapter that an entry must pin; sources as the plan spells them."""
    for service_name, service in sorted(stack.services.items()):
        for version_name, version in sorted(service.versions.items()):
            for text in (version.model, *version.adapters.values()):
                source = _source(located(text, version), catalog) if text is not None else None
                if source is not None:
                    yield f"{service_name}/{version_name}", source


def _source(text: str, catalog: Catalog) -> str | None:
    """The source that an entry pins; None for what needs none: paths, embedded weights, unknown ids."""
    if text.startswith("git+"):
        return text
    if text == EMPTY:
        return None
    source = model_source(text)
    if source.kind == "path":
        return None
    if source.kind == "catalog":
        model = catalog.models.get(source.name)
        return None if model is None or model.embedded else model.hub
    return text


def update(
    stacks: Sequence[Stack],
    catalog: Catalog,
    lock: Lock | None,
    *,
    inspect: Inspect,
    digest: Digest = mounted_digest,
    upgrade: Collection[str] = (),
    prune: bool = True,
    say: Say = lambda line: None,
) -> Change:
    """The lock file that these stacks, all of one project, need.

    Entries that are there stay, whatever a hub says by now, unless `upgrade` names their service, service/version or
    source (or `*` for all). With `prune`, entries that none of the stacks needs go. Raises what `inspect`
    and `digest` raise.
    """
    before = lock or Lock()
    models: dict[str, LockedModel] = {}
    for key, source in dict.fromkeys(pair for stack in stacks for pair in needed(stack, catalog)):
        known = models.get(source) or before.models.get(source)
        if known is None or (source not in models and _named(upgrade, key, source)):
            say(f"asking {source}")
            known = inspect(source)
        models[source] = known
    mounts: dict[str, str] = {}
    for key, source in dict.fromkeys(pair for stack in stacks for pair in copied_buckets(stack)):
        pin = mounts.get(source) or before.mounts.get(source)
        if pin is None or (source not in mounts and _named(upgrade, key, source)):
            say(f"asking {source}")
            pin = digest(source)
        mounts[source] = pin
    kept = {key: choice for key, choice in before.instances.items() if not _moves(upgrade, key)}
    draft = before.model_copy(update={"models": models, "instances": kept, "mounts": mounts})
    chosen: dict[str, LockedChoice] = {}
    for stack in stacks:
        chosen |= _instances(make(stack, catalog, lock=draft.model_copy(update={"instances": {**kept, **chosen}})))
    if not prune:
        models, chosen, mounts = {**before.models, **models}, {**kept, **chosen}, {**before.mounts, **mounts}
    after = draft.model_copy(update={"models": models, "instances": chosen, "mounts": mounts})
    return Change(lock=after, lines=tuple(_differences(before, after)))


def pin_image(lock: Lock | None, method: str, reference: str) -> Change:
    """The lock file with the image that serves a method, `name@sha256:...`; everything else stays."""
    before = lock or Lock()
    after = before.model_copy(update={"images": {**before.images, method: reference}})
    return Change(lock=after, lines=tuple(_differences(before, after)))


def _moves(upgrade: Collection[str], key: str) -> bool:
    """Does an upgrade name this instance type's key, `eks:chat/main`?"""
    return _named(upgrade, key.partition(":")[2], key)


def _named(upgrade: Collection[str], key: str, source: str) -> bool:
    return any(name in ("*", key, key.partition("/")[0], source) for name in upgrade)


def _instances(plan: Plan) -> dict[str, LockedChoice]:
    """Instance types that the plan chose by itself: public resources without a list."""
    return {
        lock_key(plan.target, f"{service.name}/{version.name}"): LockedChoice(
            instance_type=version.placement.instance_type, gpus=version.placement.gpus
        )
        for service in plan.services
        for version in service.versions
        if version.placement is not None and version.placement.chosen
    }


def _differences(before: Lock, after: Lock) -> Iterator[str]:
    old, new = _pins(before), _pins(after)
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            yield f"+ {name} {new[name]}"
        elif name not in new:
            yield f"- {name}"
        elif old[name] != new[name]:
            yield f"~ {name} {old[name]} -> {new[name]}"


def _pins(lock: Lock) -> dict[str, str]:
    """What is pinned to what."""
    models = {name: entry.revision for name, entry in lock.models.items()}
    images = {f"image:{method}": reference for method, reference in lock.images.items()}
    return {**models, **lock.mounts, **images, **{name: each.instance_type for name, each in lock.instances.items()}}


def write_lock(folder: Path, lock: Lock) -> Path:
    """Write inferform.lock in one step, so that a killed command leaves the old one."""
    path = folder / FILE
    with tempfile.NamedTemporaryFile("w", dir=folder, prefix=f".{FILE}.", delete=False, encoding="utf-8") as stream:
        stream.write(lock.text())
    Path(stream.name).chmod(0o644)
    os.replace(stream.name, path)
    return path
