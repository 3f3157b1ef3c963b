"""What became of each field of an import or export."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What became of a field. Refusals are errors and end the import."""

    MAPPED = "mapped"  # it has a key in the stack file
    KEPT = "kept"  # no meaning here; under `extra`, and back in an export
    WARNING = "warning"  # accepted, and may surprise
    CHANGED = "changed"  # moved, spelled anew, filled in or left out
    SECRET = "secret"  # left out of the stack file


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One field: its path in the service.json (export: in the stack file), and what became of it."""

    path: str
    outcome: Outcome
    text: str

    def __str__(self) -> str:
        return f"{self.outcome.value:8} {self.path}: {self.text}"
