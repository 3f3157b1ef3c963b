"""Surge or recreate on a cluster: is there ever room for old and new? Pure.

A surge brings the new version up at the count that the old one has now, so it needs that much room beside everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from infra.plan.packing import Verdict, verdict
from infra.plan.units import counted

UNIT = 100
"""Slots of one GPU or core (see placement); a group's room is counted in GPUs or cores."""
Decision = Literal["surge", "recreate", "refuse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """One limit that a rollout must stay below: nodes of a group, GPUs of a quota."""

    name: str
    unit: str
    limit: float
    others: float
    """What every other version of the limit takes at its maximum, the service's own other versions too."""
    nodes: int = 0
    """Of a group: its nodes at most, each of `capacity` slots; `sizes` are the others' replicas by size."""
    capacity: int = 0
    sizes: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """How a version is replaced. `extra`: what the rollout adds to each room above the maximum, in its unit."""

    decision: Decision
    reason: str
    room: str = ""
    """What decided: a group or quota."""
    tight: bool = False
    """There is room only while the service is below its maximum."""


def choose(
    *, wanted: Literal["auto", "surge", "recreate"], low: int, high: int, each: Sequence[float], rooms: Sequence[Room]
) -> Choice:
    """Choose how a version with `low`..`high` replicas is replaced; `each[i]` is what a replica takes of `rooms[i]`.

    1. `recreate` is declared: recreate.
    2. No limit applies: surge.
    3. All old replicas at the maximum and as many new ones fit beside the others at theirs: surge.
    4. They fit at the minimum: surge, and at full load the new replicas wait for room (tight).
    5. There is never room: recreate, or refused when `surge` is declared, for the update could not finish.
    """
    if wanted == "recreate":
        return Choice(decision="recreate", reason="declared, requests wait meanwhile")
    if not rooms:
        return Choice(decision="surge", reason="public capacity has no limit here")
    at_least = max(1, low)
    for count, tight in ((high, False), (at_least, True)):
        short = _short(2 * count, each, rooms)
        if short is None:
            room, taken = max(
                zip(rooms, each, strict=True),
                key=lambda pair: (pair[0].others + 2 * count * pair[1]) / max(1e-9, pair[0].limit),
            )
            peak = _number(room.others + 2 * count * taken)
            numbers = f"{peak} of {_number(room.limit)} {room.unit} in {room.name} at the peak"
            if tight and high > at_least:
                return Choice(
                    decision="surge",
                    reason=f"{numbers} with {counted(at_least, 'replica')}; with {high}, new ones wait for room",
                    tight=True,
                    room=room.name,
                )
            return Choice(decision="surge", reason=numbers)
    room, taken = _short(2 * at_least, each, rooms) or (rooms[0], each[0])
    need = _number(2 * at_least * taken)
    spare = _number(max(0.0, room.limit - room.others))
    reason = f"old and new need {need} {room.unit}, {room.name} has {spare} for them"
    return Choice(decision="refuse" if wanted == "surge" else "recreate", reason=reason, room=room.name)


def _short(count: int, each: Sequence[float], rooms: Sequence[Room]) -> tuple[Room, float] | None:
    """The first room that cannot take `count` replicas beside the others."""
    for room, taken in zip(rooms, each, strict=True):
        if room.others + count * taken > room.limit + 1e-9 or not _packed(room, count, taken):
            return room, taken
    return None


def _packed(room: Room, count: int, taken: float) -> bool:
    """Is there a packing onto the group's nodes? Always true for a limit that has none."""
    if not room.nodes:
        return True
    size = round(taken * UNIT)
    sizes = {**room.sizes, size: room.sizes.get(size, 0) + count}
    return verdict(sizes, nodes=room.nodes, capacity=room.capacity) is not Verdict.NEVER


def _number(value: float) -> str:
    return f"{value:.4g}"
