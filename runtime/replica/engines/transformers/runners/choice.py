"""Which runner serves a model: decided by a probe of this very model."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from runtime.replica.engines.transformers.runners.base import Chunk, Runner
from runtime.replica.engines.transformers.runners.batched import BatchedRunner
from runtime.replica.engines.transformers.runners.fused import FusedRunner, unfit
from runtime.replica.engines.transformers.runners.sequential import SequentialRunner

log = logging.getLogger(__name__)

_LENGTH_DEPENDENT = ("dynamic", "longrope")
"""Rotary embeddings whose angles change with the longest sequence of a batch, so that rows disturb each other."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The runner, and why a faster one was not taken ("" = it was)."""

    runner: Runner
    fallback: str = ""


def choose_runner(
    model: PreTrainedModel, *, slots: int, context: int, fused: bool, reload: Callable[[], PreTrainedModel]
) -> Choice:
    """The fastest runner that gives the model's own logits. `reload` loads the same model once more.

    A probe feeds two prompts of different lengths, batched and one by one, and compares. It is the warm-up, too.
    """
    rotary = getattr(getattr(model, "model", None), "rotary_emb", None)
    rope = getattr(rotary, "rope_type", "default")
    if rope in _LENGTH_DEPENDENT:
        return Choice(SequentialRunner(model), f"rotary embedding {rope} depends on the sequence's length")
    if layers := sorted({type(layer).__name__ for layer in _layers(model) if type(layer) is not DynamicLayer}):
        return Choice(SequentialRunner(model), f"the model's cache is not plain K/V ({', '.join(layers)})")
    probe = Probe(model)
    reason = unfit(model) if fused else "engineArgs.fused is false"
    if not reason:
        runner = FusedRunner(model, slots, context)
        reason = probe.disagreement(runner)
        if not reason:
            return Choice(runner)
        model = reload()  # the fused runner took the weights
    log.info("not on the fused path: %s", reason)
    batched = BatchedRunner(model, slots, context)
    reason = probe.disagreement(batched)
    return Choice(SequentialRunner(model), reason) if reason else Choice(batched)


class Probe:
    """Two short prompts and what the model itself makes of them."""

    def __init__(self, model: PreTrainedModel) -> None:
        vocabulary = int(model.config.get_text_config(decoder=True).vocab_size)
        self._prompts = [[(7 * at + 3) % vocabulary for at in range(size)] for size in (4, 40)]
        self._inputs = [11 % vocabulary, 5 % vocabulary]
        self._tolerance = {torch.float32: 1e-3, torch.float16: 0.05}.get(model.dtype, 0.3)
        self._expected = self._run(SequentialRunner(model)).float()

    def disagreement(self, runner: Runner) -> str:
        """Why a runner may not serve this model; "" when its logits are the model's own."""
        try:
            found = self._run(runner).float()
        except (RuntimeError, TypeError, ValueError, IndexError, AttributeError, NotImplementedError) as error:
            return f"the model does not take rows of different lengths ({type(error).__name__})"
        # bfloat16 rounds differently in differently shaped products; a wrong position or mask is off by far more.
        scale = max(float(self._expected.std()), 1e-6)
        off = float((found - self._expected).abs().max()) / scale
        if not off <= self._tolerance:  # NaN, too
            return f"rows of different lengths change the model's logits (by {off:.2f} deviations)"
        return ""

    def _run(self, runner: Runner) -> torch.Tensor:
        runner.step([], [Chunk(runner.open(len(prompt)), prompt, last=True) for prompt in self._prompts])
        runner.step(self._inputs, [])
        logits = runner.step(self._inputs[::-1], [])
        runner.reset()
        return logits


def _layers(model: PreTrainedModel) -> list[object]:
    return list(DynamicCache(config=model.config).layers)
