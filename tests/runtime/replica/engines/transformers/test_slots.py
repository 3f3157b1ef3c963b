"""The batch's cache keeps what rows hold while it grows and while rows move."""

from __future__ import annotations

import torch

from runtime.replica.engines.transformers.slots import Slots


def sequence(length: int, value: float) -> list[torch.Tensor]:
    return [torch.full((4, length, 8), value + layer) for layer in range(2)]


def test_growing_keeps_what_rows_hold() -> None:
    slots = Slots(3, context=2000)
    slots.fill(0, sequence(10, 1.0))
    slots.fill(1, sequence(20, 5.0))
    small = slots.capacity
    slots.reserve(small + 1)
    assert slots.capacity == 2 * small
    assert all(bool((slots.layers[layer][1, :, :20] == 5.0 + layer).all()) for layer in range(2))
    assert not slots.layers[0][2].any()


def test_the_capacity_stays_within_the_context() -> None:
    slots = Slots(1, context=700)
    slots.fill(0, sequence(513, 1.0))
    assert slots.capacity == 700
    assert Slots(1, context=64)._fitting(10) == 64


def test_a_moved_row_brings_its_tokens() -> None:
    slots = Slots(2, context=64)
    slots.fill(0, sequence(10, 1.0))
    slots.fill(1, sequence(5, 2.0))
    slots.move(1, 0, 5)
    assert bool((slots.layers[0][0, :, :5] == 2.0).all())


def test_clearing_gives_the_memory_back() -> None:
    slots = Slots(2, context=64)
    slots.fill(0, sequence(10, 1.0))
    slots.clear()
    assert (slots.layers, slots.capacity) == ([], 0)
