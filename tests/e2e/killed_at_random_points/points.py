"""Which process dies when, and how one recovers: a seeded list of points, plain data."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum


class Victim(StrEnum):
    """What kill -9 hits. `cli` leaves plugin and program alive, `everything` is a power cut."""

    REPLICA = "replica"
    HOST = "host"
    GATEWAY = "gateway"
    PLUGIN = "plugin"
    CLI = "cli"
    EVERYTHING = "everything"


class Recovery(StrEnum):
    """What the operator does next."""

    UP = "up"
    REVERT = "revert"
    DESTROY = "destroy"


@dataclass(frozen=True)
class Point:
    """One fault in an update (or a create, when nothing is deployed), `after` its start in shares of its length."""

    victim: Victim
    recovery: Recovery
    after: float

    def __str__(self) -> str:
        return f"{self.victim} killed at {self.after:.2f} of the run, then {self.recovery}"


def draw(seed: int, count: int) -> list[Point]:
    """`count` points. Every victim and every recovery comes round before any repeats; pairing and moment are random."""
    generator = random.Random(seed)

    def deck(kinds: list[str]) -> list[str]:
        cards: list[str] = []
        while len(cards) < count:
            cards += generator.sample(kinds, len(kinds))
        return cards[:count]

    victims, recoveries = deck(list(Victim)), deck(list(Recovery))
    return [
        Point(Victim(victim), Recovery(recovery), generator.random())
        for victim, recovery in zip(victims, recoveries, strict=True)
    ]
