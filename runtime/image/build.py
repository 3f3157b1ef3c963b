"""From a recipe to an image: base, build, push, archive, digest."""

from __future__ import annotations

import json
import re
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from runtime.contract.document import Document
from runtime.image.archive import Layout, forget, keep, kept, scratch, write
from runtime.image.bootstrap import base_name, ensure_base
from runtime.image.console import Progress
from runtime.image.context import Files, context_hash, image_files, parts_files, top_files, write_context
from runtime.image.engines import Engine, find_engine
from runtime.image.problem import ImageProblem
from runtime.image.recipe import Recipe
from runtime.image.secrets import write_secrets

LOCAL = "localhost/inferform"
PARTS = "localhost/inferform-parts"
TOP = "localhost/inferform-top"
REGISTRY = re.compile(r"[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")


class Built(Document):
    """What was made. `python -m runtime.image` prints it as JSON."""

    method: str
    reference: str
    """`name@sha256:...`: what a stack file or the lock file names."""
    tag: str
    """`name:method-...`: the same image by tag."""
    digest: str
    bytes: int
    """Of the unpacked layers; of the archive where the engine does not say."""
    seconds: float
    cached: bool = False
    """Nothing was built: the archive of the same content was there."""
    pushed: bool = False
    archive: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be done with the image beside building it."""

    push: str = ""
    """A registry or a repository in it."""
    bootstrap: bool = False
    ca_bundle: Path | None = None
    archive: Path | None = None
    reuse: bool = False
    """Do nothing where the archive is of the same content already."""
    fresh: bool = False
    """Make base and parts anew, with today's Debian packages."""


def repository(push: str) -> str:
    """The image's name without tag: `registry.example` is its repository `inferform`, a longer name is itself. Pure."""
    if not push:
        return LOCAL
    name = push.rstrip("/")
    if not REGISTRY.fullmatch(name):
        raise ImageProblem(
            f"--push: {push!r} is not a registry or a repository",
            "for example registry.example or registry.example/team/inferform; without scheme, tag and digest",
        )
    return name if "/" in name else f"{name}/inferform"


def build(recipe: Recipe, order: Order, progress: Progress, *, find: Callable[[], Engine] = find_engine) -> Built:
    """Build, and push or write as ordered; raises ImageProblem."""
    name = repository(order.push)
    if order.archive and not order.archive.parent.is_dir():
        raise ImageProblem(f"--output: there is no folder {order.archive.parent}", "make it first")
    if order.bootstrap:
        recipe = replace(recipe, base=base_name(recipe))
    below = parts_files(recipe)
    parts = f"{PARTS}:{recipe.method.value}-{context_hash(below)[:12]}"
    files = image_files(recipe, parts)
    tag = f"{name}:{recipe.method.value}-{context_hash(files)[:12]}"
    if order.reuse and (known := _known(order.archive, tag)):
        return known.model_copy(update={"cached": True, "seconds": progress.seconds})
    with tempfile.TemporaryDirectory(prefix="inferform-image-") as scratch:
        hidden = Path(scratch)
        secrets = write_secrets(hidden, order.ca_bundle)
        engine = find()
        if order.fresh or not engine.has(parts):
            if order.bootstrap:
                ensure_base(engine, recipe, progress, fresh=order.fresh)
            _build(engine, parts, below, secrets, progress, fresh=order.fresh)
            forget(parts)
    _build(engine, tag, files, {}, progress)
    digest, size = engine.digest(tag), engine.size(tag)
    if order.archive:
        progress.step(f"writing {order.archive}")
        digest = _archive(engine, recipe, tag, parts, order.archive, progress)
    if order.push:
        progress.step(f"pushing {tag}")
        digest = engine.push(tag, progress.tell)
    if digest is None:
        raise ImageProblem(
            f"{engine.name} gives {tag} a digest only when it leaves this machine",
            "add --push REGISTRY or --output FILE",
        )
    built = Built(
        method=recipe.method.value,
        reference=f"{name}@{digest}",
        tag=tag,
        digest=digest,
        bytes=size or (order.archive.stat().st_size if order.archive else 0),
        seconds=round(progress.seconds, 1),
        pushed=bool(order.push),
        archive=str(order.archive) if order.archive else None,
    )
    if order.archive:
        _receipt(order.archive).write_text(built.to_json())
    return built


def _build(
    engine: Engine,
    tag: str,
    files: Files,
    secrets: Mapping[str, Path],
    progress: Progress,
    *,
    fresh: bool = False,
    layers: bool = True,
) -> None:
    progress.step(f"building {tag} with {engine.name}")
    with tempfile.TemporaryDirectory(prefix="inferform-image-") as context:
        write_context(files, Path(context))
        engine.build(Path(context), tag, secrets, lambda line: _show(line, progress), fresh=fresh, layers=layers)


def archive_digest(archive: Path) -> str:
    """The manifest's digest in an OCI archive; raises ImageProblem."""
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.name.removeprefix("./") == "index.json" and (stream := tar.extractfile(member)):
                    return str(json.load(stream)["manifests"][0]["digest"])
    except (tarfile.TarError, ValueError, LookupError) as bad:
        raise ImageProblem(f"{archive} is no OCI archive: {bad}") from bad
    raise ImageProblem(f"{archive} is no OCI archive: it has no index.json", "docker writes them from version 25 on")


def _archive(engine: Engine, recipe: Recipe, tag: str, parts: str, archive: Path, progress: Progress) -> str:
    """Write beside, then move: a reader sees the old archive or the whole new one."""
    fresh = archive.with_name(f".{archive.name}.new")
    fresh.unlink(missing_ok=True)
    try:
        if engine.writes_layouts:
            _compose(engine, recipe, tag, parts, fresh, progress)
        else:
            engine.save(tag, fresh, progress.tell)
        digest = archive_digest(fresh)
        fresh.replace(archive)
    finally:
        fresh.unlink(missing_ok=True)
    return digest


def _compose(engine: Engine, recipe: Recipe, tag: str, parts: str, archive: Path, progress: Progress) -> None:
    """The kept layers of the parts, made once, and what the image has on top of them."""
    with scratch("parts-") as folder:
        if not (kept(parts) / "index.json").is_file():
            progress.step(f"compressing the layers of {parts}, once (minutes)")
            layout = Path(folder) / "parts"
            engine.write_layout(parts, layout, progress.tell)
            keep(layout, parts)
        top = f"{TOP}:{tag.rpartition(':')[2]}"
        _build(engine, top, top_files(recipe, tag), {}, progress, layers=False)
        engine.write_layout(top, Path(folder) / "top", progress.tell)
        write(archive, tag, Layout(kept(parts)), Layout(Path(folder) / "top"))


def _receipt(archive: Path) -> Path:
    return archive.with_name(f"{archive.name}.json")


def _known(archive: Path | None, tag: str) -> Built | None:
    """What the receipt beside an archive says, if it is this image's."""
    if archive is None or not archive.is_file():
        return None
    try:
        known = Built.from_json(_receipt(archive).read_bytes())
    except (OSError, ValueError):
        return None
    return known if known.tag == tag else None


def _show(line: str, progress: Progress) -> None:
    """buildah and podman say `STEP 3/9: RUN ...`, docker `#7 [packages 2/3] RUN ...`."""
    if found := re.match(r"(?:\[\d+/\d+\] )?STEP \d+/\d+: (?P<what>\w.*)|#\d+ \[(?P<docker>.+)", line):
        progress.step(" ".join((found["what"] or found["docker"]).split())[:100])
    else:
        progress.tell(line)
