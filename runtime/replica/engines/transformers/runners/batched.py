"""Continuous batching for any model with plain K/V caches: Transformers' forward over a cache with per-row lengths.

A prompt is computed in a cache of its own, exactly as `generate()` does; when it is complete its keys and values are
copied into the next free row of the batch. All rows decode in one forward with per-row positions and mask.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import Cache, PreTrainedModel

from runtime.replica.engines.transformers.runners.base import Chunk, Lane, Runner
from runtime.replica.engines.transformers.runners.sequential import plain_forward
from runtime.replica.engines.transformers.slots import Slots


class BatchedRunner(Runner):
    """The generic path: whatever the architecture, only its cache and mask are ours."""

    name = "batched"

    def __init__(self, model: PreTrainedModel, slots: int, context: int) -> None:
        super().__init__()
        self._model = model
        self._cache = SlotCache(Slots(slots, context))
        self._additive = model.config._attn_implementation == "eager"

    def step(self, tokens: Sequence[int], chunks: Sequence[Chunk]) -> torch.Tensor:
        logits = [self._decode(tokens)] if tokens else []
        for chunk in chunks:
            out = plain_forward(self._model, chunk.lane, chunk.tokens)
            chunk.lane.length += len(chunk.tokens)
            if chunk.last:
                logits.append(out)
                self._join(chunk.lane)
        return torch.cat(logits) if logits else torch.empty(0, 0)

    def _decode(self, tokens: Sequence[int]) -> torch.Tensor:
        device = self._model.device
        positions = torch.tensor(self.rows.lengths, device=device)
        self._cache.begin(self.rows.lengths, positions)
        mask = torch.arange(max(self.rows.lengths) + 1, device=device) <= positions[:, None]
        mask = mask[:, None, None, :]
        if self._additive:
            dtype = self._model.dtype
            mask = torch.zeros(mask.shape, dtype=dtype, device=device).masked_fill(~mask, torch.finfo(dtype).min)
        out = self._model(
            input_ids=torch.tensor(tokens, device=device)[:, None],
            position_ids=positions[:, None],
            attention_mask=mask,
            past_key_values=self._cache,
            use_cache=True,
        )
        self.rows.lengths = [length + 1 for length in self.rows.lengths]
        logits: torch.Tensor = out.logits[:, -1]
        return logits

    def _join(self, lane: Lane) -> None:
        layers = [torch.cat((layer.keys[0], layer.values[0])) for layer in lane.cache.layers]
        self._cache.slots.fill(len(self.rows), layers)
        self.rows.lengths.append(lane.length)
        lane.cache = None

    def leave(self, row: int) -> None:
        last = len(self.rows) - 1
        if row != last:
            self._cache.slots.move(last, row, self.rows.lengths[last])
        self.rows.lengths[row] = self.rows.lengths[last]
        self.rows.lengths.pop()

    def reset(self) -> None:
        self.rows.lengths = []
        self._cache.slots.clear()


class SlotCache(Cache):  # type: ignore[misc]
    """Transformers' view of the slots: update() writes one token per row at that row's own position."""

    def __init__(self, slots: Slots) -> None:
        super().__init__(layers=[])
        self.slots = slots
        self._rows = torch.empty(0, dtype=torch.long)
        self._positions = self._rows
        self._longest = 0

    def begin(self, lengths: Sequence[int], positions: torch.Tensor) -> None:
        """Before each forward: where the rows' new tokens go."""
        self._longest = max(lengths) + 1
        self.slots.reserve(self._longest)
        self._rows = torch.arange(len(lengths), device=positions.device)
        self._positions = positions

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write [rows, kv heads, 1, head size]; returns all keys and values up to the longest row."""
        layer, heads = self.slots.layers[layer_idx], key_states.shape[1]
        layer[self._rows, :, self._positions] = torch.cat((key_states[:, :, 0], value_states[:, :, 0]), dim=1)
        view = layer[: len(self._rows), :, : self._longest]
        return view[:, :heads], view[:, heads:]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """The longest row, the new token not counted."""
        return max(self._longest - 1, 0)
