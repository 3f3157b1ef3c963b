"""Surge, recreate or refuse: the numbered rules as a table."""

from __future__ import annotations

from typing import Literal

import pytest

from infra.plan.rollout import Room, choose

Wanted = Literal["auto", "surge", "recreate"]


def room(limit: float, others: float = 0) -> Room:
    return Room(name="quota nlp", unit="GPUs", limit=limit, others=others)


def group(nodes: int, capacity: int, others: dict[int, int] | None = None) -> Room:
    sizes = others or {}
    taken = sum(size * count for size, count in sizes.items()) / 100
    return Room(
        name="group a10",
        unit="GPUs",
        limit=nodes * capacity / 100,
        others=taken,
        nodes=nodes,
        capacity=capacity,
        sizes=sizes,
    )


@pytest.mark.parametrize(
    ("rule", "wanted", "low", "high", "each", "rooms", "decision", "tight"),
    [
        (1, "recreate", 1, 4, [1], [room(100)], "recreate", False),
        (2, "auto", 1, 4, [], [], "surge", False),
        (3, "auto", 1, 4, [1], [room(8)], "surge", False),
        (3, "surge", 1, 4, [1], [room(12, others=4)], "surge", False),
        (4, "auto", 1, 4, [1], [room(7)], "surge", True),
        (4, "auto", 0, 4, [1], [room(4)], "surge", True),
        (5, "auto", 2, 2, [4], [room(8)], "recreate", False),
        (5, "auto", 1, 1, [1], [room(8, others=7)], "recreate", False),
        (5, "surge", 1, 1, [1], [room(8, others=7)], "refuse", False),
        (3, "auto", 1, 1, [4], [group(2, 800)], "surge", False),
        (5, "auto", 1, 1, [8], [group(2, 800, {100: 1})], "recreate", False),  # 15 GPUs are free, 8 together only once
        (3, "auto", 1, 1, [1, 5], [room(8), room(10)], "surge", False),
        (5, "auto", 1, 1, [1, 6], [room(8), room(10)], "recreate", False),  # the scarcest room decides
    ],
)
def test_the_rules(
    rule: int, wanted: Wanted, low: int, high: int, each: list[float], rooms: list[Room], decision: str, tight: bool
) -> None:
    choice = choose(wanted=wanted, low=low, high=high, each=each, rooms=rooms)
    assert (choice.decision, choice.tight) == (decision, tight), f"rule {rule}: {choice.reason}"


def test_a_full_pool_recreates_and_says_why() -> None:
    choice = choose(wanted="auto", low=2, high=2, each=[4], rooms=[room(8)])
    assert choice.reason == "old and new need 16 GPUs, quota nlp has 8 for them"
