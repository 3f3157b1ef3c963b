"""Which version and which replica gets a request? Deterministic choices on plain data."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol, TypeVar


class SmoothWeighted:
    """Smooth weighted round robin: in any sum(weights) picks from the start, each name has exactly its weight."""

    def __init__(self, weights: Mapping[str, int]) -> None:
        self.weights = {name: weight for name, weight in weights.items() if weight > 0}
        self._current = dict.fromkeys(self.weights, 0)

    def shares(self) -> dict[str, float]:
        """The part of all picks that each name has, together 1."""
        total = sum(self.weights.values())
        return {name: weight / total for name, weight in self.weights.items()}

    def pick(self, among: Collection[str] | None = None) -> str | None:
        """The next name, of `among` when given; None when no name with a weight is left."""
        best: str | None = None
        total = 0
        for name, weight in self.weights.items():
            if among is not None and name not in among:
                continue
            total += weight
            self._current[name] += weight
            if best is None or self._current[name] > self._current[best]:
                best = name
        if best is not None:
            self._current[best] -= total
        return best


class Loaded(Protocol):
    """What the choice of a replica looks at."""

    in_flight: int
    last_used: int  # a counter's value at the last choice: equal loads take turns


Candidate = TypeVar("Candidate", bound=Loaded)


def least_loaded(candidates: Iterable[Candidate]) -> Candidate | None:
    """The candidate with the fewest requests in flight; of equal ones the one that was chosen longest ago."""
    return min(candidates, key=lambda candidate: (candidate.in_flight, candidate.last_used), default=None)


def named_version(wanted: str, names: Mapping[str, str], hashes: Collection[str]) -> str | None:
    """The hash that `X-Inferform-Version: wanted` addresses: a name of the table wins over a hash. None: unknown."""
    if wanted in names:
        return names[wanted]
    return wanted if wanted in hashes else None
