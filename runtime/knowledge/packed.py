"""Declared documents that travel packed: one .tar.gz in place of a folder, as a cluster mounts it."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path, PurePosixPath

PACKED = (".tar.gz", ".tgz")


def is_packed(folder: Path) -> bool:
    """Whether what is declared as a folder is a packed one."""
    return folder.name.endswith(PACKED)


def unpack(archive: Path, into: Path) -> Path:
    """Unpack to `into`, replacing what was there. Raises OSError and ValueError (no archive, or one that leaves it)."""
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True, mode=0o700)
    try:
        with tarfile.open(archive, "r:gz") as packed:
            for member in packed.getmembers():
                _check(member, archive)
            packed.extraction_filter = getattr(tarfile, "data_filter", None)  # since 3.11.4
            packed.extractall(into)
    except (tarfile.TarError, EOFError) as error:
        raise ValueError(f"{archive.name}: {error}") from error
    return into


def _check(member: tarfile.TarInfo, archive: Path) -> None:
    """Refuse what is no file or folder below the place of unpacking."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or not (member.isreg() or member.isdir()):
        raise ValueError(f"{archive.name}: {member.name!r} is no file or folder inside")
