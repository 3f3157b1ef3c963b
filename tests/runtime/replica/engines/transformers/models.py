"""Tiny models with random weights and a byte-level tokenizer, in Hugging Face's folder layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

from runtime.contract.version import EngineKind, Method, VersionTemplate

END = "<end>"
VOCABULARY = 257  # 256 bytes and the end token
CONTEXT = 256

SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": CONTEXT,
    "initializer_range": 0.3,  # large, so that the next token depends on more than the last one
    "eos_token_id": VOCABULARY - 1,
    "bos_token_id": None,
    "pad_token_id": None,
}


def configuration(kind: str) -> PreTrainedConfig:
    """llama, llama-untied (own output weights), qwen2 (biases), gpt2 (learned positions), sliding (a window of 8)."""
    match kind:
        case "llama":
            return LlamaConfig(**SHAPE, tie_word_embeddings=True)
        case "qwen2":
            return Qwen2Config(**SHAPE, tie_word_embeddings=False)
        case "sliding":
            return MistralConfig(**SHAPE, sliding_window=8)
        case "gpt2":
            return GPT2Config(
                vocab_size=VOCABULARY, n_embd=48, n_layer=3, n_head=6, n_positions=CONTEXT, initializer_range=0.3,
                eos_token_id=VOCABULARY - 1, bos_token_id=VOCABULARY - 1,
            )  # fmt: skip
    raise ValueError(kind)


def write_model(folder: Path, kind: str, *, chat: bool = True) -> Path:
    """Write weights (float32) and tokenizer."""
    torch.manual_seed(7)
    model = AutoModelForCausalLM.from_config(configuration(kind))
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.3)  # zeros would hide a forgotten bias
    model.generation_config.eos_token_id = VOCABULARY - 1
    model.save_pretrained(folder)
    write_tokenizer(folder, chat=chat)
    return folder


def write_tokenizer(folder: Path, *, chat: bool = True) -> None:
    """One token per byte."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(BPE(vocab={letter: index for index, letter in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token=END)
    if chat:
        tokenizer.chat_template = (
            "{% for m in messages %}{% if m.role == 'tool' %}{{ raise_exception('no tools here') }}{% endif %}"
            "[{{ m.role }}]{{ m.content }}\n{% endfor %}[assistant]"
        )
    tokenizer.save_pretrained(folder)


def template(**fields: Any) -> VersionTemplate:
    """A version of engine transformers with two threads at most."""
    return VersionTemplate(method=Method.STANDARD, engine=EngineKind.TRANSFORMERS, **{"cpus": 2, **fields})
