"""A matrix product with fixed weights, laid out once for the processor where that is possible."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

Projection = Callable[[torch.Tensor], torch.Tensor]
"""[tokens, inputs] -> [tokens, outputs]"""

_ROWS = 64
"""Tokens that the layout is chosen for. It serves one to hundreds: a quarter to a half faster than the plain layout for
2 to 40 tokens, the same for one and for many."""


def projection(weight: torch.Tensor, bias: torch.Tensor | None) -> Projection:
    """The product with `weight` [outputs, inputs]. On a CPU the weights are copied into oneDNN's own layout, as torch's
    compiler does for frozen models; the caller should then let go of the originals."""
    if not packable(weight):
        return lambda inputs: functional.linear(inputs, weight, bias)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS)
    product = torch.ops.mkldnn._linear_pointwise.default

    def packed_linear(inputs: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = product(inputs, packed, bias, "none", [], "")
        return out

    return packed_linear


def packable(weight: torch.Tensor) -> bool:
    """Whether oneDNN has a layout of its own for these weights on this machine."""
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise") or not hasattr(torch.ops.mkldnn, "_reorder_linear_weight"):
        return False
    if weight.dtype is torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return weight.dtype is torch.float32
