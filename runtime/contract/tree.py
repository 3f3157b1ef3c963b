"""The files of a folder and the digest of their content, told alike by the plan and by a replica."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

CHUNK = 4 * 2**20


def files_below(folder: Path) -> Iterator[str]:
    """Regular files, relative with `/`, sorted. Links are followed, a link to a folder above it is not. Raises OSError.

    `.git` is left out: it changes without any change of the files.
    """
    yield from sorted(_walk(folder, "", ()))


def _walk(folder: Path, prefix: str, above: tuple[tuple[int, int], ...]) -> Iterator[str]:
    facts = folder.stat()
    here = (facts.st_dev, facts.st_ino)
    if here in above:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                if entry.name != ".git":
                    yield from _walk(Path(entry.path), f"{prefix}{entry.name}/", (*above, here))
            elif entry.is_file():
                yield prefix + entry.name


def tree_digest(contents: Iterable[tuple[str, str]]) -> str:
    """`sha256:` over (name, SHA-256 of the content in hex) in the order given."""
    whole = hashlib.sha256()
    for name, content in contents:
        whole.update(f"{name}\0{content}\n".encode())
    return f"sha256:{whole.hexdigest()}"


def content_digest(file: Path) -> str:
    """SHA-256 of a file in hex."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
