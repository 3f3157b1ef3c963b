"""The fallback: one cache of Transformers' own per sequence, one forward per sequence and step.

For models whose cache is not plain K/V (sliding windows, state spaces, hybrids) or that do not take per-row positions.
Sequences still take turns, so a new one gets its first token while long ones run; only the batch's speed is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache, PreTrainedModel

from runtime.replica.engines.transformers.runners.base import Chunk, Lane, Runner


class SequentialRunner(Runner):
    """`generate()`'s own cache and forward, one sequence after the other."""

    name = "sequential"

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self._model = model
        self._lanes: list[Lane] = []

    def step(self, tokens: Sequence[int], chunks: Sequence[Chunk]) -> torch.Tensor:
        logits = [self._forward(lane, [token]) for lane, token in zip(self._lanes, tokens, strict=True)]
        for chunk in chunks:
            out = self._forward(chunk.lane, chunk.tokens)
            if chunk.last:
                logits.append(out)
                self._lanes.append(chunk.lane)
        self.rows.lengths = [lane.length for lane in self._lanes]
        return torch.cat(logits) if logits else torch.empty(0, 0)

    def _forward(self, lane: Lane, tokens: Sequence[int]) -> torch.Tensor:
        out = plain_forward(self._model, lane, tokens)
        lane.length += len(tokens)
        return out

    def leave(self, row: int) -> None:
        self._lanes[row] = self._lanes[-1]
        self._lanes.pop()
        self.rows.lengths = [lane.length for lane in self._lanes]

    def reset(self) -> None:
        self._lanes.clear()
        self.rows.lengths = []


def plain_forward(model: PreTrainedModel, lane: Lane, tokens: Sequence[int]) -> torch.Tensor:
    """Feed tokens to one sequence's DynamicCache as `generate()` does; logits [1, vocabulary] of the last one."""
    if lane.cache is None:
        lane.cache = DynamicCache(config=model.config)
    ids = torch.tensor([list(tokens)], device=model.device)
    positions = torch.arange(lane.length, lane.length + len(tokens), device=model.device)[None]
    arguments: dict[str, Any] = {"logits_to_keep": 1}
    out = model(input_ids=ids, position_ids=positions, past_key_values=lane.cache, use_cache=True, **arguments)
    logits: torch.Tensor = out.logits[:, -1]
    return logits
