"""The content digest of a declared knowledge base, so that a changed document is a diff. Effect: reads the files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from runtime.contract.names import DOCUMENT_SUFFIXES


def documents_digest(folder: Path) -> str:
    """Twelve hex digits of SHA-256 over relative names and contents of the documents that a replica would read."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in DOCUMENT_SUFFIXES and not path.name.startswith(".") and path.is_file():
            name, content = path.relative_to(folder).as_posix(), path.read_bytes()
            total.update(f"{len(name.encode())}:{name}:{len(content)}:".encode() + content)
    return total.hexdigest()[:12]
