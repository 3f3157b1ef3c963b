"""The fast path for Llama-like models: the same arithmetic with merged projections and few, large operations.

On a CPU the generic forward spends two thirds of a small model's step between its operations. Here a step of all rows
and all prompt chunks is one flat list of tokens [tokens, hidden]; only attention tells the sequences apart. choice.py
compares the logits with the model's own before it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from runtime.replica.engines.transformers.runners.base import Chunk, Lane, Runner
from runtime.replica.engines.transformers.runners.projection import Projection, projection
from runtime.replica.engines.transformers.slots import Slots

_FAMILIES = ("llama", "qwen2", "mistral")
"""Model types whose forward is the one below. Others have Llama's modules and another arithmetic (scaled residuals,
layers without rotation), which a short probe could miss."""
_ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj"}
_MLP = {"gate_proj", "up_proj", "down_proj", "act_fn"}
_LAYER = {"self_attn", "mlp", "input_layernorm", "post_attention_layernorm"}


@dataclass(frozen=True, slots=True)
class Layer:
    """One decoder layer."""

    norm: torch.Tensor
    qkv: Projection  # hidden -> (heads + 2 kv heads) * head size
    out: Projection
    mlp_norm: torch.Tensor
    gate_up: Projection  # hidden -> 2 * intermediate
    down: Projection


@dataclass(frozen=True, slots=True)
class Begun:
    """First chunks of prompts of similar length, side by side, padded to the longest."""

    count: int
    longest: int
    places: torch.Tensor  # of their tokens in the flat list
    padded: torch.Tensor  # of the same tokens in [count * longest]


def unfit(model: Any) -> str:
    """Why a model is not Llama-like ("" = it is)."""
    if model.config.model_type not in _FAMILIES:
        return f"model type {model.config.model_type} is none of {', '.join(_FAMILIES)}"
    body = getattr(model, "model", None)
    layers = getattr(body, "layers", None)
    if not layers or not all(hasattr(body, name) for name in ("embed_tokens", "norm", "rotary_emb")):
        return "its modules are not Llama's"
    for layer in layers:
        for module, names in ((layer, _LAYER), (getattr(layer, "self_attn", None), _ATTENTION)):
            if module is None or {name for name, _ in module.named_children()} != names:
                return "its layers are not Llama's"
        if {name for name, _ in layer.mlp.named_children()} != _MLP or layer.mlp.gate_proj.bias is not None:
            return "its MLP is not Llama's"
    if type(layers[0].mlp.act_fn).__name__ not in ("SiLU", "SiLUActivation"):
        return "its activation is not SiLU"
    linear = (layers[0].self_attn.q_proj, layers[0].mlp.down_proj, model.lm_head)
    if not all(type(module) is torch.nn.Linear for module in linear):
        return "its weights are quantized"
    return ""


class FusedRunner(Runner):
    """Decodes all rows and computes prompt chunks in one pass over the weights, which it takes out of the model."""

    name = "fused"

    def __init__(self, model: Any, slots: int, context: int) -> None:
        super().__init__()
        attention = model.model.layers[0].self_attn
        self._size: int = attention.head_dim
        self._scale: float = attention.scaling
        self._heads: int = attention.q_proj.out_features // self._size
        self._kv_heads: int = attention.k_proj.out_features // self._size
        self._group = self._heads // self._kv_heads
        self._epsilon: float = model.model.norm.variance_epsilon
        self._device, self._dtype = model.device, model.dtype
        self._layers = [_taken(layer) for layer in model.model.layers]
        self._body, self._head = model.model, projection(model.lm_head.weight, model.lm_head.bias)
        self._slots = Slots(slots, context)

    def open(self, length: int) -> Lane:
        """A lane's cache is made whole at once: [layers, 2 * kv heads, length, head size]."""
        shape = (len(self._layers), 2 * self._kv_heads, length, self._size)
        return Lane(torch.empty(shape, dtype=self._dtype, device=self._device))

    def step(self, tokens: Sequence[int], chunks: Sequence[Chunk]) -> torch.Tensor:
        rows, lengths = len(tokens), self.rows.lengths
        flat, positions, wanted = list(tokens), list(lengths), list(range(rows))
        for chunk in chunks:
            positions += range(chunk.lane.length, chunk.lane.length + len(chunk.tokens))
            flat += chunk.tokens
            if chunk.last:
                wanted.append(len(flat) - 1)
        hidden = self._forward(flat, positions, rows, chunks)
        for chunk in chunks:
            chunk.lane.length += len(chunk.tokens)
        self.rows.lengths = [length + 1 for length in lengths]
        for chunk in chunks:
            if chunk.last:
                self._slots.fill(len(self.rows), list(chunk.lane.cache))
                self.rows.lengths.append(chunk.lane.length)
                chunk.lane.cache = None
        if len(wanted) < len(flat):
            hidden = hidden[wanted]
        return self._head(self._norm(hidden, self._body.norm.weight))

    def _forward(self, flat: list[int], positions: list[int], rows: int, chunks: Sequence[Chunk]) -> torch.Tensor:
        device, heads = self._device, self._heads
        hidden: torch.Tensor = self._body.embed_tokens(torch.tensor(flat, device=device))
        cos, sin = self._rotation(hidden, torch.tensor(positions, device=device))
        if rows:
            longest = max(self.rows.lengths) + 1
            self._slots.reserve(longest)
            places = torch.tensor(self.rows.lengths, device=device)
            numbers = torch.arange(rows, device=device)
            mask = self._mask(places, longest)
        begun = _begun(chunks, rows, device)
        attended = torch.empty(len(flat), heads * self._size, dtype=self._dtype, device=device)
        for index, layer in enumerate(self._layers):
            mixed = layer.qkv(self._norm(hidden, layer.norm)).view(len(flat), heads + 2 * self._kv_heads, self._size)
            # Turns queries and keys; for the values cos is 1 and sin 0, which spares the splitting.
            mixed = torch.addcmul(mixed * cos, mixed.roll(self._size // 2, -1), sin)
            if rows:
                cache = self._slots.layers[index]
                cache[numbers, :, places] = mixed[:rows, heads:]
                attended[:rows] = self._attend_rows(mixed[:rows, :heads], cache[:rows, :, :longest], mask)
            at = rows
            for chunk in chunks:
                end = at + len(chunk.tokens)
                start, stop = chunk.lane.length, chunk.lane.length + len(chunk.tokens)
                chunk.lane.cache[index][:, start:stop] = mixed[at:end, heads:].transpose(0, 1)
                if start:
                    attended[at:end] = self._attend_later(mixed[at:end, :heads], chunk.lane.cache[index], start, stop)
                at = end
            for group in begun:
                attended[group.places] = self._attend_begun(mixed, group)
            hidden = hidden + layer.out(attended)
            gate, up = layer.gate_up(self._norm(hidden, layer.mlp_norm)).chunk(2, dim=-1)
            hidden = hidden + layer.down(functional.silu(gate) * up)
        return hidden

    def _attend_rows(self, queries: torch.Tensor, cache: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """[rows, heads, size] over [rows, 2 * kv heads, tokens, size]: the heads of a group ride as if they were
        several query tokens of their key head, which spares repeating keys and values."""
        rows = queries.shape[0]
        out = functional.scaled_dot_product_attention(
            queries.reshape(rows, self._kv_heads, self._group, self._size),
            cache[:, : self._kv_heads],
            cache[:, self._kv_heads :],
            attn_mask=mask,
            scale=self._scale,
        )
        return out.reshape(rows, -1)

    def _attend_later(self, queries: torch.Tensor, cache: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """A prompt's second or later chunk [tokens, heads, size] over all that its lane holds."""
        keys, values = cache[: self._kv_heads, :stop], cache[self._kv_heads :, :stop]
        if self._group > 1:
            keys, values = keys.repeat_interleave(self._group, 0), values.repeat_interleave(self._group, 0)
        seen = torch.arange(stop, device=self._device) <= torch.arange(start, stop, device=self._device)[:, None]
        out = functional.scaled_dot_product_attention(
            queries.transpose(0, 1)[None], keys[None], values[None], attn_mask=seen, scale=self._scale
        )
        return out[0].transpose(0, 1).reshape(stop - start, -1)

    def _attend_begun(self, mixed: torch.Tensor, begun: Begun) -> torch.Tensor:
        """All prompts' first chunks at once, padded to the longest. Causal order alone keeps real tokens from seeing
        the padding, which comes after them."""
        padded = mixed.new_zeros(begun.count * begun.longest, *mixed.shape[1:])
        padded[begun.padded] = mixed[begun.places]
        padded = padded.view(begun.count, begun.longest, *mixed.shape[1:]).transpose(1, 2)
        queries, keys, values = padded.tensor_split((self._heads, self._heads + self._kv_heads), dim=1)
        if self._group > 1:
            keys, values = keys.repeat_interleave(self._group, 1), values.repeat_interleave(self._group, 1)
        out = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True, scale=self._scale)
        return out.transpose(1, 2).reshape(begun.count * begun.longest, -1)[begun.padded]

    def _rotation(self, hidden: torch.Tensor, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """cos and sin [tokens, heads + 2 kv heads, size] from the model's own rotary embedding, whatever its kind.

        x * cos + rotate_half(x) * sin equals x * cos + roll(x) * sin', where sin' has its first half negated.
        """
        cos, sin = (part[0] for part in self._body.rotary_emb(hidden[None], positions[None]))
        half = self._size // 2
        sin = torch.cat((-sin[:, :half], sin[:, half:]), dim=-1)
        turned, kept = (-1, self._heads + self._kv_heads, -1), (-1, self._kv_heads, -1)
        return (
            torch.cat((cos[:, None].expand(turned), torch.ones_like(cos)[:, None].expand(kept)), dim=1),
            torch.cat((sin[:, None].expand(turned), torch.zeros_like(sin)[:, None].expand(kept)), dim=1),
        )

    def _mask(self, places: torch.Tensor, longest: int) -> torch.Tensor | None:
        """Additive [rows, 1, 1, tokens]; None when all rows are equally long."""
        if min(self.rows.lengths) + 1 == longest:
            return None
        hidden = torch.arange(longest, device=self._device) > places[:, None]
        mask = torch.zeros(hidden.shape, dtype=self._dtype, device=self._device).masked_fill_(hidden, float("-inf"))
        return mask[:, None, None]

    def _norm(self, hidden: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return functional.rms_norm(hidden, weight.shape, weight, self._epsilon)

    def leave(self, row: int) -> None:
        last = len(self.rows) - 1
        if row != last:
            self._slots.move(last, row, self.rows.lengths[last])
        self.rows.lengths[row] = self.rows.lengths[last]
        self.rows.lengths.pop()

    def reset(self) -> None:
        self.rows.lengths = []
        self._slots.clear()


def _begun(chunks: Sequence[Chunk], rows: int, device: torch.device) -> list[Begun]:
    """Groups of first chunks whose lengths lie between the same two powers of two: padding at most doubles them."""
    starts: dict[int, list[tuple[int, int]]] = {}
    at = rows
    for chunk in chunks:
        size = len(chunk.tokens)
        if not chunk.lane.length:
            starts.setdefault((size - 1).bit_length(), []).append((at, size))
        at += size
    groups = []
    for members in starts.values():
        longest = max(size for _, size in members)
        places = [place for start, size in members for place in range(start, start + size)]
        padded = [row * longest + place for row, (_, size) in enumerate(members) for place in range(size)]
        groups.append(
            Begun(len(members), longest, torch.tensor(places, device=device), torch.tensor(padded, device=device))
        )
    return groups


def _taken(layer: Any) -> Layer:
    """A layer's weights, merged. The model's own go at once, so that only one layer is ever held twice."""
    attention, mlp = layer.self_attn, layer.mlp
    taken = Layer(
        norm=layer.input_layernorm.weight,
        qkv=_merged((attention.q_proj, attention.k_proj, attention.v_proj)),
        out=_merged((attention.o_proj,)),
        mlp_norm=layer.post_attention_layernorm.weight,
        gate_up=_merged((mlp.gate_proj, mlp.up_proj)),
        down=_merged((mlp.down_proj,)),
    )
    del layer.self_attn, layer.mlp
    return taken


def _merged(linears: Sequence[Any]) -> Projection:
    biases = [linear.bias for linear in linears if linear.bias is not None]
    weight = torch.cat([linear.weight for linear in linears]) if len(linears) > 1 else linears[0].weight
    return projection(weight, torch.cat(biases) if biases else None)
