"""What sizing needs to know of a model's architecture, read from the keys of its config.json. Pure.

The same reader serves the catalog (its entries hold these keys as they are) and a folder's own config.json.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

WIDTHS = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0, "float8_e4m3fn": 1.0, "fp8": 1.0}
"""Bytes of one element by dtype."""


class UnknownArchitecture(ValueError):
    """A config.json lacks what sizing needs; the text names the key."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The numbers behind memory: layers, heads, widths. Element counts, not bytes, unless the name says so."""

    model_type: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_size: int
    intermediate: int
    vocabulary: int
    context: int
    """The longest context that the model was made for, tokens."""
    dtype: str = "bfloat16"
    tied: bool = False
    latent: int = 0
    """MLA: elements that a layer caches for each token, shared by all heads; 0: keys and values per head."""
    value_size: int = 0
    """Size of a value head where it differs from a key head; 0: the same."""
    window: int = 0
    """Tokens that a sliding-window layer keeps; 0: no such layers."""
    window_layers: int = 0
    stateless_layers: int = 0
    """Layers that cache nothing that grows with the context (linear attention, state space)."""
    experts: int = 0
    experts_per_token: int = 0
    quantization: str = ""
    """awq, gptq, fp8, ... or empty."""
    bits: int = 16
    """Bits of one quantized weight."""
    group: int = 0
    """Weights that share a scale: bounds the tensor split."""
    vision: bool = False

    @property
    def attention(self) -> str:
        """The attention's kind in the field's words: MHA, GQA, MQA or MLA."""
        if self.latent:
            return "MLA"
        if self.kv_heads == self.heads:
            return "MHA"
        return "MQA" if self.kv_heads == 1 else "GQA"

    @property
    def plain_cache(self) -> bool:
        """Is the cache keys and values in every layer? Continuous batching by Transformers needs that."""
        return not (self.latent or self.stateless_layers)

    @property
    def width(self) -> float:
        """Bytes of one activation or cache element."""
        return WIDTHS.get(self.dtype, 2.0)


def read(config: Mapping[str, Any]) -> Architecture:
    """Read the keys of a config.json; raises UnknownArchitecture that names the missing key.

    Multimodal models keep their text model under `text_config` (or `llm_config`, `thinker_config`); older families use
    names of their own (GPT-2's n_layer, ChatGLM's num_layers and multi_query_group_num).
    """
    inner: Mapping[str, Any] = config
    for key in ("thinker_config", "text_config", "llm_config", "language_config"):
        if isinstance(inner.get(key), Mapping):
            inner = {**{name: value for name, value in config.items() if name in SHARED}, **inner[key]}
    layers = _number(inner, "num_hidden_layers", "num_layers", "n_layer", "n_layers")
    hidden = _number(inner, "hidden_size", "n_embd", "d_model")
    heads = _number(inner, "num_attention_heads", "n_head", "n_heads")
    kv_heads = _kv_heads(inner, heads)
    rope, nope = inner.get("qk_rope_head_dim"), inner.get("qk_nope_head_dim")
    rank = inner.get("kv_lora_rank")
    head_size = int(inner.get("head_dim") or inner.get("kv_channels") or hidden // heads)
    if rope and nope and not rank:
        head_size = int(rope + nope)
    windows, stateless = _layer_kinds(inner, layers)
    quantization = _mapping(config.get("quantization_config") or inner.get("quantization_config"))
    method = str(quantization.get("quant_method", ""))
    block = quantization.get("weight_block_size")
    return Architecture(
        model_type=str(config.get("model_type", "")),
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_size=head_size,
        intermediate=_intermediate(inner, hidden),
        vocabulary=_number(inner, "vocab_size", "padded_vocab_size"),
        context=_context(inner),
        dtype=str(inner.get("dtype") or inner.get("torch_dtype") or config.get("torch_dtype") or "bfloat16"),
        tied=bool(inner.get("tie_word_embeddings", config.get("tie_word_embeddings", False))),
        latent=int(rank + rope) if rank and rope else 0,
        window=int(inner.get("sliding_window") or 0) if windows else 0,
        window_layers=windows,
        stateless_layers=stateless,
        experts=int(inner.get("num_local_experts") or inner.get("n_routed_experts") or inner.get("num_experts") or 0),
        experts_per_token=int(inner.get("num_experts_per_tok") or 0),
        quantization=method,
        bits=int(quantization.get("bits") or quantization.get("w_bit") or (8 if method else 16)),
        group=int(block[0] if isinstance(block, list) and block else quantization.get("group_size") or 0),
        vision="vision_config" in config or "visual" in config or "vision_config" in inner,
    )


SHARED = ("model_type", "dtype", "torch_dtype", "quantization_config", "tie_word_embeddings")
"""Keys that a text model inherits from the multimodal config around it."""

CONTEXTS = ("max_position_embeddings", "seq_length", "n_positions", "n_ctx", "max_seq_len", "model_max_length")


def _number(config: Mapping[str, Any], *names: str) -> int:
    for name in names:
        value = config.get(name)
        if isinstance(value, int) and value > 0:
            return value
    raise UnknownArchitecture(f"config.json has no {names[0]}")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _kv_heads(config: Mapping[str, Any], heads: int) -> int:
    if config.get("multi_query_attention"):  # ChatGLM2 and later
        return int(config.get("multi_query_group_num") or 1)
    if config.get("multi_query"):  # Falcon, StarCoder
        return int(config.get("num_kv_heads") or 1)
    return int(config.get("num_key_value_heads") or config.get("num_kv_heads") or heads)


def _intermediate(config: Mapping[str, Any], hidden: int) -> int:
    """The widest row between two projections: in a mixture, the experts of one token together."""
    dense = int(config.get("intermediate_size") or config.get("ffn_hidden_size") or config.get("n_inner") or 4 * hidden)
    expert = config.get("moe_intermediate_size")
    active = int(config.get("num_experts_per_tok") or 0)
    if isinstance(expert, int) and active:
        return max(dense, expert * (active + int(config.get("n_shared_experts") or 0)))
    return dense * active if config.get("num_local_experts") and active else dense


def _context(config: Mapping[str, Any]) -> int:
    for name in CONTEXTS:
        value = config.get(name)
        if isinstance(value, int) and value > 0:
            return value
    raise UnknownArchitecture(f"config.json has no {CONTEXTS[0]}")


def _layer_kinds(config: Mapping[str, Any], layers: int) -> tuple[int, int]:
    """(layers with a sliding window, layers that cache nothing that grows)."""
    kinds = config.get("layer_types")
    if isinstance(kinds, list) and kinds:
        windows = sum(kind in ("sliding_attention", "chunked_attention") for kind in kinds)
        return windows, sum(kind in ("linear_attention", "mamba", "recurrent", "conv") for kind in kinds)
    if not config.get("sliding_window") or config.get("use_sliding_window") is False:
        return 0, 0
    if pattern := config.get("sliding_window_pattern"):  # one full layer in so many
        return layers - layers // int(pattern), 0
    if config.get("model_type") == "gemma2":
        return (layers + 1) // 2, 0
    if config.get("use_sliding_window") and "max_window_layers" in config:  # Qwen2: layers above that number
        return max(0, layers - int(config["max_window_layers"])), 0
    return layers, 0
