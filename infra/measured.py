"""What runs recorded: how long a version's start took and how much memory a replica took, by version and place.

One file of the user on this machine, never of the project: what a plan decides does not depend on it. Records are shown
beside the estimates; who wants to plan with them writes them into a catalog file (docs/catalog.md).
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from runtime.contract.document import Document

FILE = "measured.json"
MOST = 1000
"""Records that are kept; the oldest go first."""


class Measured(Document):
    """One version at one place. Sizes in bytes, of a replica with all its processes; 0: not measured."""

    hash: str
    service: str
    version: str
    model: str = ""
    place: str
    """`2 cores, 15.6 GiB` (a machine), or an instance type."""
    date: str
    """ISO, of the last start."""
    seconds: dict[str, float]
    """By phase of the last start, in order: schedule, image, weights, engine, firstToken."""
    memory_bytes: int = 0
    """The most that was resident so far."""
    gpu_memory_bytes: int = 0
    """The most that was held on one GPU so far."""

    @property
    def key(self) -> str:
        """What makes two records the same."""
        return f"{self.hash}@{self.place}"

    @property
    def total(self) -> float:
        """Seconds from nothing to the first token."""
        return sum(self.seconds.values())


Records = Mapping[str, Measured]


def file(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the records are."""
    home = environment.get("XDG_STATE_HOME") or str(Path(environment.get("HOME", "~")).expanduser() / ".local/state")
    return Path(home) / "inferform" / FILE


def read_measured(path: Path | None = None) -> dict[str, Measured]:
    """All records by key. A file that is missing, or that another version wrote, has none: nothing depends on it."""
    try:
        data = json.loads((path or file()).read_bytes())
        return {key: Measured.model_validate(value) for key, value in data.items()}
    except (OSError, ValueError, AttributeError, ValidationError):
        return {}


def record(new: Measured, path: Path | None = None) -> None:
    """Add a record. A later start replaces the earlier one; memory keeps the most of both. Raises OSError."""
    where = path or file()
    where.parent.mkdir(parents=True, exist_ok=True)
    with _alone(where):
        records = read_measured(where)
        old = records.pop(new.key, None)
        records[new.key] = merged(old, new)
        kept = dict(list(records.items())[-MOST:])
        text = json.dumps({key: value.to_data() for key, value in kept.items()}, indent=1)
        scratch = where.with_suffix(".new")
        scratch.write_text(text)
        scratch.replace(where)


def merged(old: Measured | None, new: Measured) -> Measured:
    """The newer start with the most memory of both."""
    if old is None:
        return new
    return new.model_copy(
        update={
            "memory_bytes": max(old.memory_bytes, new.memory_bytes),
            "gpu_memory_bytes": max(old.gpu_memory_bytes, new.gpu_memory_bytes),
        }
    )


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Two rollouts that end at once write one after the other."""
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
