"""Interleaved pairs: ours and a peer's measured in turn in one run, reported as a ratio with its range."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """Ours divided by the peer's, pair by pair."""

    ours: tuple[float, ...]
    peer: tuple[float, ...]

    @property
    def each(self) -> tuple[float, ...]:
        """The ratio of every pair."""
        return tuple(our / their for our, their in zip(self.ours, self.peer, strict=True))

    @property
    def median(self) -> float:
        """The median of the pairs' ratios."""
        return statistics.median(self.each)

    def line(self, name: str, unit: str) -> str:
        """One line of a report."""
        return (
            f"{name}: ratio {self.median:.2f} ({min(self.each):.2f}-{max(self.each):.2f}, {len(self.each)} pairs); "
            f"ours {statistics.median(self.ours):.3g} {unit}, peer {statistics.median(self.peer):.3g} {unit}"
        )


def interleave(ours: Callable[[], float], peer: Callable[[], float], pairs: int = 5) -> Ratio:
    """Measure in turn, and turn the order round at every pair: a drift of the machine hits both alike."""
    our: list[float] = []
    their: list[float] = []
    for number in range(pairs):
        order: Sequence[tuple[list[float], Callable[[], float]]] = [(our, ours), (their, peer)]
        for found, measure in order if number % 2 == 0 else reversed(order):
            found.append(measure())
    return Ratio(tuple(our), tuple(their))
