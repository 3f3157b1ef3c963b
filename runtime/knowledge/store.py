"""Documents, passages and their vectors in one SQLite file per service, shared by its replicas, safe against a kill.

Exact search: a matrix product over all vectors. 20,000 passages are 30 MB and a few milliseconds, so an approximate
index would cost more than it saves, and SQLite gives what such indexes lack: transactions over several processes.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from runtime.knowledge.embedding import Vectors

Origin = Literal["declared", "uploaded"]
BUSY_SECONDS = 30.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    id INTEGER PRIMARY KEY, origin TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, bytes INTEGER NOT NULL,
    embedding TEXT NOT NULL, added REAL NOT NULL, UNIQUE (origin, name)
);
CREATE TABLE IF NOT EXISTS passages (
    document INTEGER NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    number INTEGER NOT NULL, text TEXT NOT NULL, vector BLOB NOT NULL, PRIMARY KEY (document, number)
);
"""


@dataclass(frozen=True, slots=True)
class Listed:
    """One document as GET /documents shows it."""

    name: str
    bytes: int
    passages: int
    origin: Origin
    digest: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that is near a question; score is the cosine, 1 = the same direction."""

    document: str
    passage: str
    score: float


class Store:
    """Used from threads, one call at a time. Other processes may write the same file."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(file, timeout=BUSY_SECONDS, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA foreign_keys = ON")
        self._db.executescript(_SCHEMA)
        self._seen: tuple[int, str] | None = None  # version and embedding that `_vectors` and `_rows` belong to
        self._vectors: Vectors | None = None  # without passages
        self._rows: list[tuple[str, str]] = []

    def close(self) -> None:
        """The file can be opened again."""
        with self._lock:
            self._db.close()

    def put(
        self,
        origin: Origin,
        name: str,
        digest: str,
        size: int,
        passages: Sequence[str],
        vectors: Vectors,
        embedding: str,
    ) -> None:
        """Add a document or replace the one of this origin and name, in one transaction."""
        with self._lock, self._transaction():
            self._db.execute("DELETE FROM documents WHERE origin = ? AND name = ?", (origin, name))
            cursor = self._db.execute(
                "INSERT INTO documents (origin, name, digest, bytes, embedding, added) VALUES (?, ?, ?, ?, ?, ?)",
                (origin, name, digest, size, embedding, time.time()),
            )
            rows = zip(passages, vectors, strict=True)
            self._db.executemany(
                "INSERT INTO passages VALUES (?, ?, ?, ?)",
                ((cursor.lastrowid, number, text, vector.tobytes()) for number, (text, vector) in enumerate(rows)),
            )
        self._seen = None

    def remove(self, origin: Origin, name: str) -> bool:
        """Whether there was such a document."""
        with self._lock:
            found = self._db.execute("DELETE FROM documents WHERE origin = ? AND name = ?", (origin, name)).rowcount
            self._seen = None
        return found > 0

    def documents(self) -> list[Listed]:
        """All documents, by name, declared before uploaded."""
        query = """SELECT name, bytes, (SELECT count(*) FROM passages WHERE document = id), origin, digest
                   FROM documents ORDER BY name, origin"""
        with self._lock, closing(self._db.execute(query)) as rows:
            return [Listed(*row) for row in rows]

    def empty(self) -> bool:
        """Whether there is no document at all; cheap."""
        with self._lock:
            return self._db.execute("SELECT 1 FROM documents LIMIT 1").fetchone() is None

    def search(self, question: Vectors, embedding: str, limit: int, least: float) -> list[Hit]:
        """The nearest passages to a unit vector, best first, among those that the same embedding made."""
        with self._lock:
            self._refresh(embedding)
            vectors, rows = self._vectors, self._rows
        if vectors is None:
            return []
        import numpy as np

        scores = vectors @ question
        best = np.argsort(scores)[::-1][:limit]
        return [Hit(rows[at][0], rows[at][1], float(scores[at])) for at in best if scores[at] >= least]

    def _refresh(self, embedding: str) -> None:
        # data_version changes when another process has written; our own writes reset `_seen`.
        seen = self._db.execute("PRAGMA data_version").fetchone()[0], embedding
        if self._seen == seen:
            return
        rows = self._db.execute(
            "SELECT name, text, vector FROM passages JOIN documents ON id = document WHERE embedding = ?",
            (embedding,),
        ).fetchall()
        self._rows = [(name, text) for name, text, _ in rows]
        self._vectors = stacked([blob for *_, blob in rows]) if rows else None
        self._seen = seen

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)


def stacked(blobs: Sequence[bytes]) -> Vectors:
    """Vectors as they were stored, one row each."""
    import numpy as np

    return np.stack([np.frombuffer(blob, np.float32) for blob in blobs])


class _Transaction:
    """BEGIN IMMEDIATE: writers of several processes wait for each other instead of failing half-way."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")
