"""Would anything be fetched from outside the mirrors? Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from infra.plan.document import Finding, Level
from infra.plan.version import Candidate
from infra.stackfile import Stack, model_source, mount_source

HUBS = {"hf": "hf+", "modelscope": "modelscope+"}
"""A mirror of a whole hub is written as `hf+https://mirror.example`: it serves every `hf://` source."""


def offline_findings(stack: Stack, candidates: Sequence[Candidate]) -> Iterator[Finding]:
    """With `offline: true`: every source that no mirror covers, by path."""
    if not stack.offline:
        return
    for candidate in candidates:
        for path, source in _sources(candidate):
            if not covered(source, stack.mirrors):
                yield _outside(path, source)


def offline_image(stack: Stack, image: str | None) -> Iterator[Finding]:
    """With `offline: true`: an image that no mirror covers."""
    if stack.offline and image is not None and not covered(image, stack.mirrors):
        yield _outside("target.image", image)


def covered(source: str, mirrors: Sequence[str]) -> bool:
    """Is a source on this machine, or inside a mirror?

    1. Paths, embedded weights and empty folders need nothing from outside.
    2. A mirror covers what begins with it, up to a `/`, `@`, `:` or the end.
    3. `hf+https://...` and `modelscope+https://...` cover their hub.
    """
    if source.startswith(("/", "./", "../", "~", "embedded://", "empty://", "git+file://")):
        return True
    scheme = source.partition("://")[0]
    for mirror in mirrors:
        base = mirror.rstrip("/")
        if source == base or (source.startswith(base) and source[len(base)] in "/@:"):
            return True
        if scheme in HUBS and mirror.startswith((HUBS[scheme] + "http://", HUBS[scheme] + "https://")):
            return True
    return False


def _sources(candidate: Candidate) -> Iterator[tuple[str, str]]:
    """(path, source) of everything that a replica fetches; a catalog id counts as what it stands for."""
    if candidate.model is not None:
        yield f"{candidate.path}.model", candidate.model.reference.source
    for name, adapter in candidate.adapters.items():
        yield f"{candidate.path}.adapters.{name}", adapter.reference.source
    for index, mount in enumerate(candidate.declared.storage):
        source = mount_source(mount.source)
        if source.kind not in ("path", "empty"):
            yield f"{candidate.path}.storage[{index}].source", mount.source


def _outside(path: str, source: str) -> Finding:
    kind = "" if "://" not in source else model_source(source).kind if source.startswith(("hf", "model")) else ""
    fix = (
        f"a mirror that covers it under mirrors (for the hub: {HUBS[kind]}https://...)"
        if kind in HUBS
        else "list its mirror under mirrors, or name a folder"
    )
    text = f"offline is set, and {source} lies outside the mirrors"
    return Finding(level=Level.ERROR, rule="offline-source", path=path, text=text, fix=fix)
