"""Run by vLLM's own interpreter: cache bytes per token and device by vLLM's code, for the configs on stdin (JSON)."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import torch  # type: ignore[import-not-found,unused-ignore]
from vllm.config import ModelConfig, ParallelConfig  # type: ignore[import-not-found,unused-ignore]
from vllm.v1.kv_cache_interface import (  # type: ignore[import-not-found,unused-ignore]
    FullAttentionSpec,
    MLAAttentionSpec,
)

BLOCK = 16


def bytes_per_token(config: dict[str, object], tensors: list[int]) -> list[float]:
    """One layer's page by vLLM's own specification of it, times vLLM's own count of layers, by tokens of the page."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(config))
        model = ModelConfig(model=folder, skip_tokenizer_init=True, dtype="bfloat16")
    kind = MLAAttentionSpec if model.use_mla else FullAttentionSpec
    answers = []
    for tensor in tensors:
        parallel = ParallelConfig(tensor_parallel_size=tensor, distributed_executor_backend="mp")
        heads, size = model.get_num_kv_heads(parallel), model.get_head_size()
        spec = kind(block_size=BLOCK, num_kv_heads=heads, head_size=size, dtype=torch.bfloat16)
        answers.append(float(spec.page_size_bytes * model.get_num_layers(parallel) / BLOCK))
    return answers


wanted = json.load(sys.stdin)
said = {name: bytes_per_token(config, tensors) for name, (config, tensors) in wanted.items()}
Path(sys.argv[1]).write_text(json.dumps(said))
