"""Storage mounts where a replica is a plain process: what they are for, and how texts that name them are read. Pure.

On local nothing lies at a `mountPath`, for there is no mount namespace. What names a path inside a mount is read as one
inside the place where it was prepared: the model and the adapters when the plan is made (they are resolved at the
mount's source), the values of `engineArgs` and `env` when the replica starts.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from runtime.contract.version import Mount, VersionTemplate

EMPTY = "empty://"
CLAIM = "pvc://"
"""A claim of the cluster is mounted at its path by the kubelet, and so is its own place."""
SHARED_MEMORY = "/dev/shm"
"""EAS mounts memory there; the machine's own is already in its place."""


def inside(path: str, mount_path: str) -> str | None:
    """Where below a mount a path lies: `""` is the mount itself, None is elsewhere."""
    here, mount = PurePosixPath(path), PurePosixPath(mount_path)
    if mount != here and mount not in here.parents:
        return None
    below = here.relative_to(mount).as_posix()
    return "" if below == "." else below


def prepared(template: VersionTemplate) -> tuple[Mount, ...]:
    """The mounts that a replica makes ready before its engine starts.

    1. One that a value of engineArgs or env names.
    2. One that holds neither the model nor an adapter: it was declared for something.
    3. Not one that only holds those: they are read where they come from, and a bucket of models is not copied for one.
    4. Not a volume claim: a pod has it mounted.
    """
    if not template.storage:
        return ()
    held = [each.name for each in (template.model, *template.adapters.values()) if each is not None]
    texts = [*_texts(template.engine_args), *template.env.values()]
    return tuple(
        mount
        for mount in template.storage
        if not mount.source.startswith(CLAIM)
        if any(_pattern(mount.mount_path).search(text) for text in texts)
        or all(inside(name, mount.mount_path) is None for name in held)
    )


def copy_name(mount: Mount) -> str:
    """The folder of a prepared copy, below `data/<service>/mounts`: one for all replicas that want this content."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", mount.mount_path).strip("-")[-40:]
    return f"{readable}-{hashlib.sha256(f'{mount.source} {mount.digest}'.encode()).hexdigest()[:12]}"


def empty_name(replica: str, mount: Mount) -> str:
    """The folder of an empty mount, below `data/<service>/mounts/empty`: of one replica alone."""
    return f"{replica}{mount.mount_path.replace('/', '--')}"


def translate(value: Any, places: Mapping[str, str]) -> Any:
    """JSON data in which every path inside a mount became one inside its place. `places`: mount path -> folder."""
    if isinstance(value, str):
        # All at once: a place may itself lie below another mount's path.
        return _pattern(*places).sub(lambda found: places[found[0]], value) if places else value
    if isinstance(value, Mapping):
        return {key: translate(each, places) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [translate(each, places) for each in value]
    return value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


def _pattern(*mount_paths: str) -> re.Pattern[str]:
    """A mount's path as a whole: `/data`, `/data/x`, `--in=/data`, `/bin:/data`; not `/data2`, `/a/data`, `s3://b/data`."""
    return re.compile(rf"(?<![\w./~-])(?:{'|'.join(map(re.escape, mount_paths))})(?![\w.-])")
