"""A declared knowledge base: its content digest, so that a changed document is a diff, and its documents packed.

Effect: reads the files.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

from runtime.contract.names import DOCUMENT_SUFFIXES


def documents_digest(folder: Path) -> str:
    """Twelve hex digits of SHA-256 over relative names and contents of the documents that a replica would read."""
    total = hashlib.sha256()
    for name, content in _documents(folder):
        total.update(f"{len(name.encode())}:{name}:{len(content)}:".encode() + content)
    return total.hexdigest()[:12]


def packed_documents(folder: Path) -> bytes:
    """The documents as a .tar.gz: the same bytes for the same names and contents."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in _documents(folder):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o444
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), mtime=0)


def packed_size(folder: Path) -> int:
    """Bytes of the packed documents; 0 when they cannot be read."""
    try:
        return len(packed_documents(folder))
    except OSError:
        return 0


def _documents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """(name, content) of what a replica would read."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in DOCUMENT_SUFFIXES and not path.name.startswith(".") and path.is_file():
            yield path.relative_to(folder).as_posix(), path.read_bytes()
