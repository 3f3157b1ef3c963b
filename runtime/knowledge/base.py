"""The knowledge base of one service: a declared and an uploaded collection, and what they say about a question."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import logging
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from runtime.contract.names import DOCUMENT_SUFFIXES
from runtime.knowledge.embedding import Embedder, MiniLm
from runtime.knowledge.errors import DocumentError
from runtime.knowledge.reader import checked_name, read_text
from runtime.knowledge.store import Hit, Listed, Origin, Store

log = logging.getLogger(__name__)

MAX_HITS = 4
LEAST_SCORE = 0.2
"""Below it a passage has nothing to do with the question (cosine of all-MiniLM-L6-v2)."""


class Declared(ValueError):
    """The document comes from the stack file and is changed there."""


class KnowledgeBase:
    """Lives in the service's data folder; several replicas may share it. Opens its file when it is first needed."""

    def __init__(self, folder: Path, embedder: Embedder | None = None) -> None:
        self._folder, self._embedder = folder, embedder or MiniLm()
        self._store: Store | None = None
        self._synced: object = None
        self._syncing = asyncio.Lock()

    def close(self) -> None:
        """Nothing is lost: every change was committed when it was answered."""
        if self._store is not None:
            self._store.close()

    # Uploaded --------------------------------------------------------------------------------------------------------

    async def upload(self, name: str, data: bytes) -> None:
        """Add or replace an uploaded document; it is searched and kept once this returns. Raises DocumentError."""
        await self._take("uploaded", checked_name(name), data)

    async def remove(self, name: str) -> bool:
        """Remove an uploaded document; False: there is none. Raises Declared for one of the stack file."""
        if await asyncio.to_thread(self._open().remove, "uploaded", name):
            return True
        if any(listed.name == name for listed in await self.documents()):
            raise Declared(f"{name} is declared in the stack file; remove it there")
        return False

    async def documents(self) -> list[Listed]:
        """Both collections."""
        return await asyncio.to_thread(self._open().documents)

    # Declared --------------------------------------------------------------------------------------------------------

    async def follow(
        self, folder: Path | None, stamp: object, say: Callable[[str], None] = lambda detail: None
    ) -> None:
        """Make the declared collection hold exactly the documents of `folder`, unless that was done for this `stamp`.

        A document that cannot be read is logged and left out: one bad file must not keep a service from starting.
        """
        async with self._syncing:
            if stamp == self._synced:
                return
            if folder is not None or self._file.exists():
                async with self._only_process():
                    await self._synchronise(folder, say)
            self._synced = stamp

    async def _synchronise(self, folder: Path | None, say: Callable[[str], None]) -> None:
        wanted = await asyncio.to_thread(_files, folder) if folder is not None else {}
        have = {one.name: one.digest for one in await self.documents() if one.origin == "declared"}
        for name in have.keys() - wanted.keys():
            await asyncio.to_thread(self._open().remove, "declared", name)
        changed = [name for name, (digest, _) in wanted.items() if have.get(name) != digest]
        for number, name in enumerate(changed, 1):
            say(f"document {number} of {len(changed)}")
            try:
                await self._take("declared", name, await asyncio.to_thread(wanted[name][1].read_bytes))
            except (DocumentError, OSError) as problem:
                log.warning("a declared document is left out: %s", problem)

    # Search ----------------------------------------------------------------------------------------------------------

    async def search(self, question: str) -> list[Hit]:
        """The passages nearest to the question, best first; none when nothing is near."""
        if self._store is None and not self._file.exists():
            return []
        store = self._open()
        if store.empty():
            return []

        def find() -> list[Hit]:
            vector = self._embedder.embed([question])[0]
            return store.search(vector, self._embedder.name, MAX_HITS, LEAST_SCORE)

        return await asyncio.to_thread(find)

    # Inside ----------------------------------------------------------------------------------------------------------

    @property
    def _file(self) -> Path:
        return self._folder / "knowledge.db"

    def _open(self) -> Store:
        if self._store is None:
            self._store = Store(self._file)
        return self._store

    async def _take(self, origin: Origin, name: str, data: bytes) -> None:
        text = await read_text(name, data)
        await asyncio.to_thread(self._index, origin, name, data, text)

    def _index(self, origin: Origin, name: str, data: bytes, text: str) -> None:
        from runtime.knowledge.splitter import split  # langchain takes a while to import

        passages = split(name, text)
        vectors = self._embedder.embed(passages)
        digest = hashlib.sha256(data).hexdigest()
        self._open().put(origin, name, digest, len(data), passages, vectors, self._embedder.name)

    @asynccontextmanager
    async def _only_process(self) -> AsyncIterator[None]:
        """Replicas that start together index the declared documents once; a dead one's lock is gone with it."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def _files(folder: Path) -> dict[str, tuple[str, Path]]:
    """The documents below `folder`: relative name -> content hash and path."""
    found: dict[str, tuple[str, Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix.lower() in DOCUMENT_SUFFIXES and not path.name.startswith("."):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found[path.relative_to(folder).as_posix()] = digest, path
    return found


def context_of(hits: Sequence[Hit]) -> str:
    """What is put before the question; empty without passages."""
    if not hits:
        return ""
    passages = "\n\n".join(f"[{number}] {hit.document}\n{hit.passage}" for number, hit in enumerate(hits, 1))
    return (
        "Answer the question from the passages below. When they do not hold the answer, say that you do not know.\n\n"
        f"{passages}\n\nQuestion: "
    )
