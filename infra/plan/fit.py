"""Does a model fit? What one device holds, as a sum of named terms. Pure; every number is an estimate, unmeasured.

A device is a GPU, or on target local without GPUs the machine's memory for one replica. Terms:

weights          the files' bytes, split by tensor and pipeline parallelism; embeddings stand on the outer stages
vision tower     on every device: engines replicate it
KV cache         declared context x concurrency, from layers, KV heads and head size, never from the parameter count
adapters         LoRA weights
activations      one step's rows between two projections, and the logits of every sequence
engine           the process with its libraries (host), or CUDA context and captured graphs (GPU)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from catalog import Engine
from infra.plan.architecture import Architecture
from infra.plan.document import Term

TENSOR_SPLITS = (1, 2, 4, 8)
CONTEXT_STEP = 1024
"""Contexts that are proposed are a multiple of this many tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """How many devices share one replica: tensor x pipeline."""

    tensor: int = 1
    pipeline: int = 1

    @property
    def devices(self) -> int:
        """Devices of one replica."""
        return self.tensor * self.pipeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What is to be placed: a model's sizes and how it is to be served."""

    architecture: Architecture
    weight_bytes: int
    vision_bytes: int = 0
    """Part of weight_bytes."""
    adapter_bytes: int = 0
    context: int
    concurrency: int
    engine: Engine
    cache_width: float | None = None
    """Bytes of one cache element where it is not the model's dtype (an fp8 KV cache: 1)."""


def kv_bytes_per_token(architecture: Architecture, split: Split = Split(), width: float | None = None) -> float:
    """Bytes that one more token of one sequence takes on the fullest device, sliding windows left out.

    With fewer KV heads than devices the heads are replicated; MLA's latent is replicated on each.
    """
    element = architecture.width if width is None else width
    full = architecture.layers - architecture.window_layers - architecture.stateless_layers
    return _layer_bytes(architecture, split, element) * math.ceil(full / split.pipeline)


def kv_bytes(architecture: Architecture, *, tokens: int, split: Split = Split(), width: float | None = None) -> int:
    """Bytes of the cache of one sequence of so many tokens on the fullest device."""
    element = architecture.width if width is None else width
    windows = math.ceil(architecture.window_layers / split.pipeline)
    windowed = _layer_bytes(architecture, split, element) * windows * min(tokens, architecture.window)
    return math.ceil(kv_bytes_per_token(architecture, split, width) * tokens + windowed)


def _layer_bytes(architecture: Architecture, split: Split, width: float) -> float:
    if architecture.latent:
        return architecture.latent * width
    heads = math.ceil(architecture.kv_heads / split.tensor)
    return heads * (architecture.head_size + (architecture.value_size or architecture.head_size)) * width


def split_problem(architecture: Architecture, split: Split) -> str:
    """Why this split cannot work, or nothing.

    1. Query heads divide by the tensor split.
    2. KV heads divide by it, or it by them (they are then replicated).
    3. The feed-forward width divides by it, in whole groups where weights are quantized in groups.
    4. There are at least as many layers as pipeline stages.
    """
    tensor, name = split.tensor, architecture.model_type
    if architecture.heads % tensor:
        return f"{architecture.heads} attention heads of {name} do not divide by {tensor}"
    if not architecture.latent and architecture.kv_heads % tensor and tensor % architecture.kv_heads:
        return f"{architecture.kv_heads} KV heads of {name} and a tensor split of {tensor} do not divide each other"
    if architecture.intermediate % (tensor * max(1, architecture.group)) and tensor > 1:
        groups = f" in groups of {architecture.group}" if architecture.group else ""
        return f"the feed-forward width {architecture.intermediate} of {name} does not divide by {tensor}{groups}"
    if split.pipeline > architecture.layers:
        return f"{architecture.layers} layers of {name} cannot make {split.pipeline} pipeline stages"
    return ""


def device_terms(need: Need, split: Split = Split(), *, gpu: bool) -> tuple[Term, ...]:
    """The terms of the fullest of the devices of one replica."""
    return tuple(term for term in _terms(need, split, gpu) if term.bytes)


def _terms(need: Need, split: Split, gpu: bool) -> Iterator[Term]:
    shape, engine = need.architecture, need.engine
    text = need.weight_bytes - need.vision_bytes
    yield Term(name="weights", bytes=_stage_bytes(shape, text, split), note=_weights_note(shape, split))
    yield Term(name="vision tower", bytes=need.vision_bytes, note="on every device" if split.devices > 1 else "")
    cache = kv_bytes(shape, tokens=need.context, split=split, width=need.cache_width) * need.concurrency
    tokens = f"{need.context} tokens x {need.concurrency} sequences"
    yield Term(name="KV cache", bytes=cache, note=f"{tokens}, {_cache_note(shape, split)}")
    yield Term(name="adapters", bytes=math.ceil(need.adapter_bytes / split.devices))
    yield Term(name="activations", bytes=_activations(need, split), note="one step and the logits")
    if gpu:
        yield Term(name="CUDA context", bytes=engine.gpu_context_bytes)
        yield Term(name="graphs", bytes=engine.graph_bytes)
    else:
        yield Term(name="engine", bytes=engine.process_bytes, note=f"{engine.id} process")


def _stage_bytes(shape: Architecture, text: int, split: Split) -> int:
    """Weights on the fullest device: the deepest stage's layers, and an outer stage's embedding or head."""
    if split.pipeline == 1:
        return math.ceil(text / split.tensor)
    table = shape.vocabulary * shape.hidden * min(shape.width, 2.0)
    tables = table if shape.tied else 2 * table
    layers = max(0.0, text - tables) * math.ceil(shape.layers / split.pipeline) / shape.layers
    return math.ceil((layers + table) / split.tensor)


def _activations(need: Need, split: Split) -> int:
    """Rows of one step between two projections (twice the widest, four times the hidden), and float32 logits twice."""
    shape = need.architecture
    tokens = min(need.engine.batched_tokens, need.context * need.concurrency)
    rows = tokens * (2 * shape.intermediate / split.tensor + 4 * shape.hidden) * max(shape.width, 2.0)
    return math.ceil(rows + need.concurrency * shape.vocabulary * 4 * 2)


def _weights_note(shape: Architecture, split: Split) -> str:
    kind = f"{shape.quantization} {shape.bits} bit" if shape.quantization else shape.dtype
    parts = [f"/{split.tensor} tensor"] if split.tensor > 1 else []
    parts += [f"/{split.pipeline} pipeline"] if split.pipeline > 1 else []
    return " ".join([kind, *parts])


def _cache_note(shape: Architecture, split: Split) -> str:
    if shape.latent:
        return f"MLA latent {shape.latent}"
    copies = " (replicated)" if split.tensor > shape.kv_heads else ""
    window = f", {shape.window_layers} layers keep {shape.window}" if shape.window_layers else ""
    return f"{shape.attention} {shape.kv_heads} KV heads{copies}{window}"


def total(terms: tuple[Term, ...]) -> int:
    """The sum of the terms, bytes."""
    return sum(term.bytes for term in terms)


def capacity(memory_bytes: int, engine: Engine) -> int:
    """What the engine may use of a GPU of so much memory."""
    return math.floor(memory_bytes * engine.gpu_utilization)
