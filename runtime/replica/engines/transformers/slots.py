"""The batch's K/V cache: per layer one tensor [slots, kv heads, capacity, head size] for keys and one for values."""

from __future__ import annotations

from collections.abc import Sequence

import torch

_FIRST_CAPACITY = 512


class Slots:
    """Rows of keys and values that grow together, by doubling, up to the context.

    Made when the first row arrives, in that row's shapes: layers may differ in heads and sizes.
    """

    def __init__(self, slots: int, context: int) -> None:
        self.count, self.context = slots, context
        self.capacity = 0
        self.layers: list[tuple[torch.Tensor, torch.Tensor]] = []

    def fill(self, row: int, layers: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> None:
        """Copy one sequence's keys and values ([kv heads, tokens, head size] per layer) into a row."""
        length = layers[0][0].shape[1]
        if not self.layers:
            self.capacity = self._fitting(length + 1)
            self.layers = [(self._new(keys), self._new(values)) for keys, values in layers]
        self.reserve(length + 1)
        for (own_keys, own_values), (keys, values) in zip(self.layers, layers, strict=True):
            own_keys[row, :, :length] = keys
            own_values[row, :, :length] = values

    def move(self, source: int, target: int, length: int) -> None:
        """Copy a row over another."""
        for keys, values in self.layers:
            keys[target, :, :length] = keys[source, :, :length]
            values[target, :, :length] = values[source, :, :length]

    def reserve(self, tokens: int) -> None:
        """Make room for rows of this many tokens."""
        if tokens <= self.capacity:
            return
        old = self.capacity
        self.capacity = self._fitting(tokens)
        # One layer after the other, so that at most one layer exists twice.
        for index, pair in enumerate(self.layers):
            bigger = tuple(self._new(tensor[0]) for tensor in pair)
            for target, source in zip(bigger, pair, strict=True):
                target[:, :, :old] = source
            self.layers[index] = (bigger[0], bigger[1])

    def clear(self) -> None:
        """Give the memory back."""
        self.layers, self.capacity = [], 0

    def _fitting(self, tokens: int) -> int:
        capacity = _FIRST_CAPACITY
        while capacity < tokens:
            capacity *= 2
        return max(min(capacity, self.context), tokens)

    def _new(self, like: torch.Tensor) -> torch.Tensor:
        # Zeros, not empty: what a mask hides is still multiplied, and garbage may be NaN.
        return torch.zeros(
            self.count, like.shape[0], self.capacity, like.shape[-1], dtype=like.dtype, device=like.device
        )
