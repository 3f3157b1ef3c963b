"""The batch's K/V cache: per layer one tensor [slots, 2 * kv heads, capacity, head size], keys first, then values."""

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
        self.layers: list[torch.Tensor] = []

    def fill(self, row: int, layers: Sequence[torch.Tensor]) -> None:
        """Copy one sequence ([heads, tokens, head size] per layer) into a row."""
        length = layers[0].shape[1]
        if not self.layers:
            self.capacity = self._fitting(length + 1)
            self.layers = [self._new(layer) for layer in layers]
        self.reserve(length + 1)
        for own, layer in zip(self.layers, layers, strict=True):
            own[row, :, :length] = layer

    def move(self, source: int, target: int, length: int) -> None:
        """Copy a row over another."""
        for layer in self.layers:
            layer[target, :, :length] = layer[source, :, :length]

    def reserve(self, tokens: int) -> None:
        """Make room for rows of this many tokens."""
        if tokens <= self.capacity:
            return
        old, self.capacity = self.capacity, self._fitting(tokens)
        for index, layer in enumerate(self.layers):  # one after the other: at most one layer exists twice
            bigger = self._new(layer[0])
            bigger[:, :, :old] = layer
            self.layers[index] = bigger

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
        shape = (self.count, like.shape[0], self.capacity, like.shape[-1])
        return torch.zeros(shape, dtype=like.dtype, device=like.device)
