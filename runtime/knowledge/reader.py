"""Which documents are taken, under which names, and their text (read by extract.py in its own process)."""

from __future__ import annotations

import asyncio
import sys
import unicodedata
from pathlib import PurePath

from runtime.contract.names import DOCUMENT_SUFFIXES
from runtime.knowledge.errors import DocumentError
from runtime.knowledge.extract import REFUSED

MAX_NAME = 200
READ_SECONDS = 120.0


def checked_name(name: str) -> str:
    """The file's own name without folders. Raises DocumentError for a name or type that cannot be kept."""
    plain = unicodedata.normalize("NFC", name.replace("\\", "/").rpartition("/")[2].strip())
    if not plain or plain.startswith(".") or len(plain) > MAX_NAME or not plain.isprintable():
        raise DocumentError(f"{name[:80]!r} is no usable file name")
    suffix = PurePath(plain).suffix.lower()
    if suffix not in DOCUMENT_SUFFIXES:
        supported = ", ".join(DOCUMENT_SUFFIXES)
        raise DocumentError(f"documents of type {suffix or 'none'} cannot be read; supported: {supported}")
    return plain


async def read_text(name: str, data: bytes) -> str:
    """The document's text. Raises DocumentError when it is broken, too slow to read, or holds no text."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "runtime.knowledge.extract", PurePath(name).suffix.lower(),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(READ_SECONDS):
            out, problem = await child.communicate(data)
    except TimeoutError:
        raise DocumentError(f"{name} could not be read within {READ_SECONDS:g} s") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode == REFUSED:
        raise DocumentError(f"{name}: {problem.decode().strip()}")
    if child.returncode:
        raise DocumentError(f"{name} is broken or not what its name says")
    text = out.decode().replace("\0", "")
    if not text.strip():
        raise DocumentError(f"{name} holds no text")
    return text
