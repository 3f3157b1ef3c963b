"""Prepared mounts that no version names any more: they go, so that each new content does not fill the disk a little."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from runtime.contract.host import VersionRecord
from runtime.contract.mounts import EMPTY, copy_name, empty_name, prepared

FOLDER = "mounts"
EMPTIES = "empty"


def wanted_mounts(versions: Iterable[VersionRecord], replicas: Collection[str]) -> dict[str, set[Path]]:
    """Service -> the folders below its `mounts` that a version or a replica needs. Pure.

    1. A copy is needed while a version that mounts that content is declared, also at zero replicas.
    2. An empty mount is needed while its replica has a place; its content ends with the replica's process anyway.
    """
    kept: dict[str, set[Path]] = {}
    for version in versions:
        folders = kept.setdefault(version.service, set())
        mine = [replica for replica in replicas if replica.startswith(f"{version.service}-{version.hash}-")]
        for mount in prepared(version.template):
            if mount.source.startswith(EMPTY):
                folders |= {Path(EMPTIES, empty_name(replica, mount)) for replica in mine}
            else:
                folders.add(Path(copy_name(mount)))
    return kept


def sweep_mounts(data: Path, kept: Mapping[str, Collection[Path]]) -> list[Path]:
    """Delete the folders below `data/<service>/mounts` that are not kept; returns them. Blocks; raises OSError.

    A copy is taken out of the way under its lock: a replica that wants it at this moment makes it anew.
    """
    gone = []
    for mounts in sorted(data.glob(f"*/{FOLDER}")):
        wanted = kept.get(mounts.parent.name, ())
        for folder in sorted([*_folders(mounts), *_folders(mounts / EMPTIES)]):
            below = folder.relative_to(mounts)
            unfinished = Path(folder.name.removeprefix(".").removesuffix(".partial"))  # a download goes on where it was
            if below in wanted or below == Path(EMPTIES) or unfinished in wanted:
                continue
            trash = _taken_away(mounts, folder)
            if trash is not None:
                _delete(trash)
                if folder.name[0] != ".":
                    gone.append(folder)
    return gone


def _folders(parent: Path) -> list[Path]:
    return [each for each in parent.iterdir() if each.is_dir()] if parent.is_dir() else []


def _taken_away(mounts: Path, folder: Path) -> Path | None:
    """Where the folder is now, to be deleted; None while somebody fills it."""
    if folder.name.endswith(".trash"):
        return folder  # a host died in between
    trash = mounts / f".{folder.name.strip('.')}.trash"
    if folder.parent != mounts:
        return folder.rename(trash)
    with (mounts / f".{folder.name.strip('.').removesuffix('.partial')}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        if trash.exists():
            _delete(trash)
        # The folder's own permission to write is needed to move it, and nobody may write a copy.
        folder.chmod(0o700)
        return folder.rename(trash)


def _delete(folder: Path) -> None:
    for base, _, _ in os.walk(folder):
        os.chmod(base, 0o700)
    shutil.rmtree(folder)
