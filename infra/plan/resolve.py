"""From a model's source in the stack file to weights with a digest and sizes. Pure: folders were read before."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from catalog import Catalog, Model
from infra.plan.architecture import Architecture, UnknownArchitecture, read
from infra.plan.document import Finding, Level
from infra.plan.folder import Folder
from infra.plan.lock import Lock, LockedModel
from infra.plan.mounts import located
from infra.stackfile import Stack, Version, model_source
from infra.stackfile.errors import nearest
from infra.stackfile.sources import is_path
from runtime.contract.mounts import CLAIM, EMPTY
from runtime.contract.version import Method, ModelReference

VISION_WIDTH = 2
"""Bytes of one parameter of a vision tower: quantized models leave it in 16 bit."""
CHAT_METHODS = (Method.STANDARD, Method.VLLM, Method.BLADELLM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A model that can be planned: where it is, what it weighs, how it is built."""

    reference: ModelReference
    architecture: Architecture
    weight_bytes: int
    vision_bytes: int = 0
    methods: tuple[Method, ...] = CHAT_METHODS
    pickle_only: bool = False
    remote_code: bool = False
    engine_args: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    problem: Finding | None = None
    """An error that sizing does not need to wait for: nothing pins the weights yet."""
    sized_by: str = ""
    """Where the sizes come from, in words."""


def folders_of(stack: Stack) -> Iterator[str]:
    """Every model or adapter that is a folder, as the stack file writes it: its own path, or one inside a mount's."""
    for service in stack.services.values():
        for version in service.versions.values():
            for text in (version.model, *version.adapters.values()):
                if text is not None and is_path(source := located(text, version)):
                    yield source


def resolve_in(
    version: Version, text: str, *, path: str, catalog: Catalog, lock: Lock | None, folders: Mapping[str, Folder]
) -> Resolved | Finding:
    """A version's model or adapter: one inside a mount is what lies there, and is called by its path, as on EAS."""
    source = located(text, version)
    if source == EMPTY:
        fix = "mount the folder, bucket or repository that has it"
        return _error("mount-empty", path, f"{text} lies in an empty mount, so there is no model", fix)
    found = resolve(source, path=path, catalog=catalog, lock=lock, folders=folders)
    if isinstance(found, Finding) or source == text:
        return found
    return replace(found, reference=found.reference.model_copy(update={"name": text.rstrip("/")}))


def resolve(
    text: str, *, path: str, catalog: Catalog, lock: Lock | None, folders: Mapping[str, Folder]
) -> Resolved | Finding:
    """One source to a model, or to the finding that says what is missing.

    1. A path: the folder's own files; no lock entry.
    2. A catalog id: the embedded weights where the entry has them, else its hub.
    3. A hub, bucket or repository: pinned by the lock file; without an entry an error names the command.
    """
    if text.startswith(CLAIM):
        fix = "name the model by hf://, modelscope:// or s3://, and keep the claim for other data"
        return _error("mount-claim", path, f"{text} cannot be read from here, so the model cannot be sized", fix)
    if text.startswith("git+"):  # only mounts have such a source
        return _locked(text, "", path, lock, None)
    source = model_source(text)
    if source.kind == "path":
        return _folder(text, path, folders[text])
    if source.kind == "catalog":
        model = catalog.models.get(source.name)
        if model is None:
            return _unknown(source.name, path, catalog)
        if model.embedded:
            return _embedded(model)
        if model.hub is None:
            text = f"{model.id} has no public weights"
            return _error("model-unavailable", path, text, "download them and name the folder")
        return _locked(model.hub, "", path, lock, model)
    scheme = source.kind
    known = None
    if scheme in ("hf", "modelscope"):
        known = next((model for model in catalog.models.values() if model.on(scheme) == source.name), None)
    return _locked(f"{scheme}://{source.name}", source.revision, path, lock, known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A LoRA adapter that was found."""

    reference: ModelReference
    weight_bytes: int


def resolve_adapter(
    version: Version, text: str, *, path: str, lock: Lock | None, folders: Mapping[str, Folder]
) -> Adapter | Finding:
    """A LoRA adapter: a folder with adapter_config.json and safetensors, or a hub's or bucket's, pinned by the lock."""
    source = located(text, version)
    if source.startswith(CLAIM):
        why = f"{source} cannot be read from here, so the adapter cannot be checked"
        return _error("mount-claim", path, why, "name it by hf://, modelscope:// or s3://")
    fix = "name a folder with adapter_config.json and *.safetensors"
    if source == EMPTY:
        return _error("adapter-folder", path, f"{text} lies in an empty mount", fix)
    if is_path(source):
        folder = folders[source]
        if folder.problem or not folder.adapter:
            return _error("adapter-folder", path, folder.problem or f"{folder.path} has no adapter_config.json", fix)
        name = folder.path.name if source == text else text  # inside a mount: called by its path, as a model is
        reference = ModelReference(name=name, source=str(folder.path), digest=folder.digest)
        return Adapter(reference=reference, weight_bytes=folder.weight_bytes)
    entry = lock.models.get(source) if lock else None
    if entry is None:
        text = f"{source} can change, and inferform.lock has no entry for it"
        return _error("lock-missing", path, text, "run `inferform lock`")
    place = source if source.startswith("git+") else source.partition("@")[0]
    name = place.rpartition("/")[2] if source == text else text
    return Adapter(reference=_pinned(place, entry.revision, name), weight_bytes=entry.weight_bytes)


def from_catalog_id(name: str, catalog: Catalog) -> Resolved | None:
    """A catalog model as it would be sized, before anything pins it; None without an architecture."""
    model = catalog.models[name]
    try:
        return _from_catalog(model, ModelReference(name=name, source=model.hub or name, digest=""))
    except UnknownArchitecture:
        return None


def _error(rule: str, path: str, text: str, fix: str) -> Finding:
    return Finding(level=Level.ERROR, rule=rule, path=path, text=text, fix=fix)


def _unknown(name: str, path: str, catalog: Catalog) -> Finding:
    wanted = _letters(name)
    close = sorted(
        (known for known in catalog.models if wanted and wanted in _letters(known)), key=lambda id: (len(id), id)
    )
    hint = f"did you mean {', '.join(close[:3])}?" if close else nearest(name, catalog.models)
    fix = hint or "`inferform models` lists them; a folder, s3://, hf:// or modelscope:// works too"
    return _error("model-unknown", path, f"{name} is not in the catalog", fix)


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _embedded(model: Model) -> Resolved:
    name = model.embedded or model.id
    reference = ModelReference(name=model.id, source=f"embedded://{name}", digest=model.digest or "")
    return _from_catalog(model, reference)


def _from_catalog(model: Model, reference: ModelReference) -> Resolved:
    return Resolved(
        reference=reference,
        architecture=read(model.config),
        weight_bytes=model.weight_bytes,
        vision_bytes=VISION_WIDTH * model.vision_parameters,
        methods=tuple(Method(method) for method in model.methods),
        remote_code=model.remote_code,
        engine_args=model.engine_args,
        sized_by=f"catalog, {model.verified.value}",
    )


def _folder(text: str, path: str, folder: Folder) -> Resolved | Finding:
    if folder.adapter:
        text = f"{folder.path} holds a LoRA adapter, no model"
        return _error("model-folder", path, text, "name the base model here, and the adapter under adapters")
    if folder.problem:
        return _error("model-folder", path, folder.problem, "name a folder with config.json and *.safetensors")
    try:
        architecture = read(folder.config)
    except UnknownArchitecture as problem:
        fix = "sizes cannot be told; is this a causal model's folder?"
        return _error("model-folder", path, f"{folder.path}: {problem}", fix)
    return Resolved(
        reference=ModelReference(name=folder.path.name, source=str(folder.path), digest=folder.digest),
        architecture=architecture,
        weight_bytes=folder.weight_bytes,
        pickle_only=folder.pickle_only,
        remote_code=folder.remote_code,
        sized_by="its own files",
    )


def _locked(source: str, revision: str, path: str, lock: Lock | None, known: Model | None) -> Resolved | Finding:
    """Pinned by the lock. A revision of the stack file must be the one that was locked."""
    key = f"{source}@{revision}" if revision else source
    entry = lock.models.get(key) if lock else None
    if entry is None and known is not None and re.fullmatch(r"[0-9a-f]{40}", revision):
        return _from_catalog(known, _pinned(source, revision, known.id))
    if entry is None:
        why = "has sizes that are not known yet" if source.startswith("git+") else "can change"
        text = f"{key} {why}, and inferform.lock has no entry for it"
        problem = _error("lock-missing", path, text, "run `inferform lock`")
        if known is None:
            return problem
        # The catalog knows its sizes: an error, and yet a plan that says what it would take.
        unpinned = ModelReference(name=known.id, source=key, digest="")
        return replace(_from_catalog(known, unpinned), problem=problem)
    return _from_lock(source, path, entry, known)


def _from_lock(source: str, path: str, entry: LockedModel, known: Model | None) -> Resolved | Finding:
    try:
        architecture = read(entry.config)
    except UnknownArchitecture as problem:
        text = f"the lock entry of {source} cannot be sized: {problem}"
        return _error("lock-stale", path, text, "run `inferform lock --upgrade`")
    name = known.id if known else source.rpartition("/")[2]
    return Resolved(
        reference=_pinned(source, entry.revision, name),
        architecture=architecture,
        weight_bytes=entry.weight_bytes,
        vision_bytes=VISION_WIDTH * known.vision_parameters if known else 0,
        methods=tuple(Method(method) for method in known.methods) if known else CHAT_METHODS,
        pickle_only=entry.pickle_only,
        remote_code=entry.remote_code,
        engine_args=known.engine_args if known else {},
        sized_by="inferform.lock",
    )


def _pinned(source: str, revision: str, name: str) -> ModelReference:
    pinned = source if source.startswith(("s3://", "git+")) else f"{source}@{revision}"
    return ModelReference(name=name, source=pinned, digest=revision)
