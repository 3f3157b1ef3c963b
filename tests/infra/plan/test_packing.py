"""Three verdicts, against an adversary that starts replicas in the worst order and an exhaustive packer."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.plan.packing import Verdict, nodes_needed, packs, verdict


@pytest.mark.parametrize(
    ("sizes", "nodes", "capacity", "expected"),
    [
        ({100: 8}, 12, 100, Verdict.ALWAYS),
        ({100: 12}, 12, 100, Verdict.ALWAYS),
        ({100: 13}, 12, 100, Verdict.NEVER),
        ({200: 1}, 12, 100, Verdict.NEVER),
        ({400: 1, 100: 5}, 2, 800, Verdict.ALWAYS),
        ({400: 1, 100: 12}, 2, 800, Verdict.PACKED),  # six and six of the small ones leave no 400
        ({800: 1, 100: 1}, 2, 800, Verdict.ALWAYS),
        ({800: 1, 100: 2}, 2, 800, Verdict.PACKED),
        ({300: 4}, 2, 800, Verdict.ALWAYS),
        ({500: 3}, 2, 800, Verdict.NEVER),
        ({}, 0, 100, Verdict.ALWAYS),
    ],
)
def test_verdicts(sizes: dict[int, int], nodes: int, capacity: int, expected: Verdict) -> None:
    assert verdict(sizes, nodes=nodes, capacity=capacity) is expected


def every_order_fits(sizes: tuple[int, ...], nodes: int, capacity: int) -> bool:
    """Slow and sure: an adversary chooses order and node (any with room); nobody is ever turned away."""

    @cache
    def safe(left: tuple[int, ...], free: tuple[int, ...]) -> bool:
        for size in set(left):
            places = [index for index, room in enumerate(free) if room >= size]
            if not places:
                return False
            rest = list(left)
            rest.remove(size)
            for index in places:
                after = list(free)
                after[index] -= size
                if not safe(tuple(rest), tuple(sorted(after))):
                    return False
        return True

    return safe(tuple(sorted(sizes)), (capacity,) * nodes)


def some_packing(sizes: tuple[int, ...], free: tuple[int, ...]) -> bool:
    if not sizes:
        return True
    options = {room for room in free if room >= sizes[0]}
    for room in options:
        after = list(free)
        after.remove(room)
        if some_packing(sizes[1:], tuple(sorted([*after, room - sizes[0]]))):
            return True
    return False


pools = st.tuples(st.lists(st.integers(1, 8), max_size=6), st.integers(0, 3), st.integers(1, 8))


@settings(max_examples=300, deadline=None)
@given(pools)
def test_a_verdict_is_never_kinder_than_the_slow_checker(pool: tuple[list[int], int, int]) -> None:
    sizes, nodes, capacity = pool
    said = verdict(Counter(sizes), nodes=nodes, capacity=capacity)
    packing = some_packing(tuple(sorted(sizes, reverse=True)), (capacity,) * nodes)
    assert (said is not Verdict.NEVER) == packing
    if said is Verdict.ALWAYS:
        assert every_order_fits(tuple(sizes), nodes, capacity)


@settings(max_examples=200, deadline=None)
@given(pools)
def test_the_nodes_that_are_needed_suffice(pool: tuple[list[int], int, int]) -> None:
    sizes, _, capacity = pool
    fitting = Counter(size for size in sizes if size <= capacity)
    assert packs(fitting, nodes=nodes_needed(fitting, capacity=capacity), capacity=capacity)


def test_thousands_of_replicas_are_weighed_by_size_not_one_by_one() -> None:
    assert verdict({100: 50_000, 400: 10_000}, nodes=20_000, capacity=800) is Verdict.ALWAYS
    assert nodes_needed({100: 50_000, 400: 10_000}, capacity=800) == 11_250
