"""Makes a version's storage mounts ready on a machine where a replica is a plain process.

What is copied lies under the service's data folder, one copy for all replicas that want the same content; an empty
mount belongs to one replica. Which mounts are wanted, and how texts that name them are read: runtime.contract.mounts.
"""

from __future__ import annotations

import asyncio
import atexit
import fcntl
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from runtime.contract.mounts import EMPTY, SHARED_MEMORY, copy_name, empty_name, prepared, translate
from runtime.contract.phases import Phase
from runtime.contract.replica import ReplicaSpec
from runtime.contract.tree import content_digest, files_below, tree_digest
from runtime.contract.version import Mount
from runtime.replica.engines.base import Report
from runtime.replica.sources.fetch import aside
from runtime.replica.sources.reference import SourceError, parse_source
from runtime.replica.sources.remote import MegabytesDone, Say

FOLDER = "mounts"


async def with_mounts(spec: ReplicaSpec, report: Report) -> ReplicaSpec:
    """The spec as its engine is to read it: mounts are ready, and engineArgs name the places where they are.

    This process's environment gets the translated values of `env`. Raises SourceError or OSError, the mount named.
    """
    wanted = prepared(spec.template)
    if not wanted:
        return spec
    loop = asyncio.get_running_loop()

    def say(detail: str) -> None:
        loop.call_soon_threadsafe(report, Phase.WEIGHTS, detail)

    places: dict[str, str] = {}
    for mount in wanted:
        report(Phase.WEIGHTS, mount.mount_path)
        try:
            place = await aside(partial(place_of, mount, spec, say))
        except (SourceError, OSError) as problem:
            raise SourceError(f"mount {mount.mount_path}: {problem}") from problem
        places[mount.mount_path] = str(place)
    os.environ.update(translate(spec.template.env, places))
    template = spec.template.model_copy(update={"engine_args": translate(spec.template.engine_args, places)})
    return spec.model_copy(update={"template": template})


def place_of(mount: Mount, spec: ReplicaSpec, say: Say) -> Path:
    """The folder that stands for a mount, made ready. Blocks; raises SourceError or OSError.

    1. Empty: a folder of this replica alone, new at each start; /dev/shm is the machine's own.
    2. A folder that may be written: itself.
    3. A folder that may not: a copy of the content that the plan saw, without permission to write.
    4. A bucket or repository: a copy likewise.
    """
    folder = Path(spec.data_folder) / FOLDER
    if mount.source.startswith(EMPTY):
        if mount.mount_path == SHARED_MEMORY:
            return Path(SHARED_MEMORY)
        return _empty(folder / "empty" / empty_name(spec.replica, mount))
    source = parse_source(mount.source)
    match source.scheme:
        case "path" if not mount.read_only:
            if not os.access(source.place, os.W_OK):
                raise SourceError(f"{source.place} cannot be written; is it there, and yours?")
            return Path(source.place)
        case "path":
            return _once(folder, mount, lambda here: _copy(Path(source.place), here, mount.digest, say))
        case "s3":
            return _once(folder, mount, lambda here: _bucket(mount, here, say))
        case "git":
            from runtime.replica.sources.git import clone

            def download(here: Path) -> None:
                clone(source, here, say)

            return _once(folder, mount, download)
        case _:
            raise SourceError(f"{mount.source} cannot be mounted; a folder, s3://, git+https:// and {EMPTY} can")


def _once(folder: Path, mount: Mount, fill: Callable[[Path], None]) -> Path:
    """`fill` a new folder and take its permissions to write away; once for all processes that want this content."""
    name = copy_name(mount)
    made = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.is_dir():
            unfinished = folder / f".{name}.partial"
            unfinished.mkdir(exist_ok=True)
            _writable(unfinished)
            fill(unfinished)
            _read_only(unfinished)
            unfinished.rename(made)
    return made


def _copy(source: Path, folder: Path, digest: str, say: Say) -> None:
    """Every file of a folder. What is not what the plan saw is refused: it would be another version."""
    shutil.rmtree(folder)
    folder.mkdir()
    names = list(files_below(source))
    done = MegabytesDone(sum((source / name).stat().st_size for name in names), say)
    contents = []
    for name in names:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / name, target)
        contents.append((name, content_digest(target)))
        done.add(target.stat().st_size)
    if digest and tree_digest(contents) != digest:
        raise SourceError(f"{source} has changed since this version was planned; run `pulumi up` again")


def _bucket(mount: Mount, folder: Path, say: Say) -> None:
    """Every object below a prefix, as it was locked."""
    from runtime.replica.sources.s3 import S3Prefix

    prefix = S3Prefix(parse_source(mount.source))
    manifest = prefix.manifest()
    if mount.digest and manifest.revision != mount.digest:
        raise SourceError(
            f"{mount.source} holds something else than was locked: its manifest is {manifest.revision[:12]}, "
            f"not {mount.digest[:12]}; run `inferform lock --upgrade` to accept what is there now"
        )
    prefix.download(manifest, sorted(manifest.files), folder, say)


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _read_only(folder: Path) -> None:
    for base, _, files in os.walk(folder, topdown=False):
        for file in (Path(base, name) for name in files):
            if not file.is_symlink():  # a repository's link may lead out of it
                file.chmod(file.stat().st_mode & 0o555)
        Path(base).chmod(0o555)


def _writable(folder: Path) -> None:
    """What was left by a process that died between the last two steps can be filled again."""
    for base, _, _ in os.walk(folder):
        Path(base).chmod(0o755)
