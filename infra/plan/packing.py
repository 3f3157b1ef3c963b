"""Do replicas fit the nodes of a pool: always, only if packed well, or never? Pure.

Sizes and capacity are slots (see placement). Replicas are counted by size, so that a pool of thousands costs no more
than one of ten. A replica never moves once placed, and the order of starts is not ours, so "always" means every order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache


class Verdict(StrEnum):
    """The three answers."""

    ALWAYS = "always fits"
    PACKED = "fits only if packed well"
    NEVER = "never fits"


def verdict(sizes: Mapping[int, int], *, nodes: int, capacity: int) -> Verdict:
    """Decide for so many replicas of each size (size -> count) on equal nodes.

    1. A replica larger than a node, or all together more than all nodes: never.
    2. Whatever the order, each replica finds a node with room: always. A node refuses one of size s only when it holds
       more than capacity - s; with the least such load that these sizes can add up to, all nodes refuse only when the
       others hold nodes x that load.
    3. Some packing holds them all: fits only if packed well.
    4. None was found: never.
    """
    present = {size: count for size, count in sizes.items() if count and size}
    whole = sum(size * count for size, count in present.items())
    if any(size > capacity for size in present) or whole > nodes * capacity:
        return Verdict.NEVER
    least = _least(frozenset(present), capacity)
    if all(load is None or whole - size < nodes * load for size, load in least.items()):
        return Verdict.ALWAYS
    return Verdict.PACKED if packs(present, nodes=nodes, capacity=capacity) else Verdict.NEVER


@lru_cache(maxsize=4096)
def _least(sizes: frozenset[int], capacity: int) -> Mapping[int, int | None]:
    """By size, the least load of a node that has no room for it; None: every load leaves room.

    A stack asks for each of its versions, with few different sets of sizes.
    """
    loads = _loads(sizes, capacity)
    return {
        size: next((load for load in range(capacity - size + 1, capacity + 1) if loads >> load & 1), None)
        for size in sizes
    }


def _loads(sizes: Collection[int], capacity: int) -> int:
    """The loads that a node can have, as bits: bit n is set when some of these sizes add up to n."""
    mask = (1 << capacity + 1) - 1
    reached = 1
    for size in sizes:
        step = size
        while step <= capacity:  # doubling the number of copies: 1, 2, 4, ...
            reached |= reached << step & mask
            step *= 2
    return reached


SEARCHED = 20_000
"""States of the exact search at most; past it, or with more replicas than MANY, largest-first decides alone."""
MANY = 40


def packs(sizes: Mapping[int, int], *, nodes: int, capacity: int) -> bool:
    """Was a packing found? Largest first, then an exact search of bounded length: a yes always has a packing."""
    if _largest_first(sizes, nodes, capacity) is not None:
        return True
    return sum(sizes.values()) <= MANY and _search(sizes, nodes, capacity)


def nodes_needed(sizes: Mapping[int, int], *, capacity: int) -> int:
    """Nodes that largest-first takes; replicas larger than a node are left out."""
    fitting = {size: count for size, count in sizes.items() if 0 < size <= capacity}
    most = sum(fitting.values())
    return _largest_first(fitting, most, capacity) or 0


def _largest_first(sizes: Mapping[int, int], nodes: int, capacity: int) -> int | None:
    """Nodes used by best-fit decreasing; None when they do not suffice. Equal nodes are filled together."""
    free: Counter[int] = Counter()
    fresh = nodes
    for size in sorted(sizes, reverse=True):
        left = sizes[size]
        while left:
            room = min((each for each, count in free.items() if count and each >= size), default=None)
            if room is None:
                if not fresh:
                    return None
                room, available = capacity, fresh
            else:
                available = free[room]
            each = room // size
            if each == 0:
                return None
            filled = min(available, left // each)
            taken, rest = (filled, room - each * size) if filled else (1, room - left * size)
            left -= filled * each if filled else left
            if room == capacity and not free[capacity]:
                fresh -= taken
            else:
                free[room] -= taken
            free[rest] += taken
    return nodes - fresh


def _search(sizes: Mapping[int, int], nodes: int, capacity: int) -> bool:
    """Depth first, largest replica first; nodes with equal room are one choice, states are not visited twice."""
    ordered = tuple(size for size in sorted(sizes, reverse=True) for _ in range(sizes[size]))
    after = [sum(ordered[index:]) for index in range(len(ordered) + 1)]
    seen: set[tuple[int, tuple[int, ...]]] = set()
    stack: list[tuple[int, tuple[int, ...]]] = [(0, (capacity,) * min(nodes, len(ordered)))]
    while stack and len(seen) < SEARCHED:
        index, free = stack.pop()
        if index == len(ordered):
            return True
        if (index, free) in seen or sum(free) < after[index]:
            continue
        seen.add((index, free))
        for place in sorted({room for room in free if room >= ordered[index]}, reverse=True):
            left = list(free)
            left.remove(place)
            stack.append((index + 1, tuple(sorted([*left, place - ordered[index]]))))
    return False


def assign(replicas: Sequence[tuple[str, int]], *, capacity: int) -> list[list[tuple[str, int]]]:
    """Named replicas (name, slots) on as many nodes as it takes, largest first, each onto the fullest node with room.

    Replicas larger than a node stand on a node of their own.
    """
    nodes: list[list[tuple[str, int]]] = []
    by_room: dict[int, list[int]] = {}
    for name, size in sorted(replicas, key=lambda each: (-each[1], each[0])):
        room = min((room for room, places in by_room.items() if places and room >= size), default=None)
        if room is None:
            index, left = len(nodes), capacity - size
            nodes.append([])
        else:
            index, left = by_room[room].pop(), room - size
        nodes[index].append((name, size))
        by_room.setdefault(left, []).append(index)
    return nodes
