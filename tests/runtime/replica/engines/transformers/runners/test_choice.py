"""Each architecture gets the fastest runner that gives the model's own tokens."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    Gemma2Config,
    GraniteConfig,
    LlamaConfig,
    MambaConfig,
    PreTrainedConfig,
    Qwen3Config,
)

from runtime.replica.engines.transformers.runners.base import Chunk
from runtime.replica.engines.transformers.runners.choice import choose_runner
from runtime.replica.engines.transformers.runners.fused import FusedRunner
from tests.runtime.replica.engines.transformers.models import SHAPE

DYNAMIC = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 8.0}
CONFIGS: dict[str, tuple[PreTrainedConfig, str, str]] = {
    "llama with biases and wide heads": (LlamaConfig(**SHAPE, attention_bias=True, head_dim=16), "fused", ""),
    "qwen3, whose queries have norms": (Qwen3Config(**SHAPE, head_dim=8), "batched", ""),
    "granite, whose residuals are scaled": (GraniteConfig(**SHAPE, residual_multiplier=0.5), "batched", ""),
    "dynamic rotation": (LlamaConfig(**SHAPE, rope_parameters=DYNAMIC), "sequential", "rotary embedding dynamic"),
    "gemma2, partly sliding": (Gemma2Config(**SHAPE, head_dim=8, sliding_window=8), "sequential", "not plain K/V"),
    "mamba": (
        MambaConfig(vocab_size=257, hidden_size=48, num_hidden_layers=3, state_size=8),
        "sequential",
        "LinearAttentionLayer",
    ),
    "bloom, which derives positions from the mask": (
        BloomConfig(vocab_size=257, hidden_size=48, n_layer=3, n_head=6, initializer_range=0.3),
        "sequential",
        "rows of different lengths",
    ),
}
PROMPTS = [[5, 9, 1, 44], list(range(30, 70)), [7]]


@pytest.mark.parametrize("name", CONFIGS)
@torch.inference_mode()
def test_the_chosen_runner_gives_what_generate_gives(name: str) -> None:
    config, expected, reason = CONFIGS[name]
    torch.manual_seed(1)
    model: Any = AutoModelForCausalLM.from_config(config).eval()
    # The fused runner takes the weights of the model it is given.
    choice = choose_runner(deepcopy(model), slots=4, context=256, fused=True, reload=lambda: deepcopy(model))
    assert choice.runner.name == expected
    assert reason in choice.fallback
    assert bool(choice.fallback) == (expected == "sequential")

    runner = choice.runner
    chunks = [Chunk(runner.open(len(prompt)), prompt, last=True) for prompt in PROMPTS]
    tokens = runner.step([], chunks).argmax(-1).tolist()
    answers = [[token] for token in tokens]
    for _ in range(15):
        tokens = runner.step(tokens, []).argmax(-1).tolist()
        for answer, token in zip(answers, tokens, strict=True):
            answer.append(token)
    for prompt, answer in zip(PROMPTS, answers, strict=True):
        ids = torch.tensor([prompt])
        out = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=16,
            do_sample=False,
            pad_token_id=0,
            eos_token_id=9999,
        )
        assert answer == out[0, len(prompt) :].tolist()


@torch.inference_mode()
def test_a_fused_runner_that_disagrees_is_replaced_on_a_reloaded_model(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    model: Any = AutoModelForCausalLM.from_config(LlamaConfig(**SHAPE)).eval()
    monkeypatch.setattr(FusedRunner, "_norm", lambda self, hidden, weight: hidden)
    choice = choose_runner(deepcopy(model), slots=4, context=256, fused=True, reload=lambda: deepcopy(model))
    assert (choice.runner.name, choice.fallback) == ("batched", "")
