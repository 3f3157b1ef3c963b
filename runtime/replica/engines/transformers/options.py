"""`engineArgs` of the transformers engine: parsed once, each error names the key, the value and what would work."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runtime.replica.engines.base import EngineFailed

DTYPES = ("auto", "float32", "bfloat16", "float16")
DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True, slots=True)
class Options:
    """What a user may choose.

    dtype: of weights and K/V cache; auto = the model's own. device: auto = a GPU where one was given, else the CPU.
    prefill_tokens: prompt tokens computed between two decode steps. fused: the fast path for Llama-like models.
    """

    dtype: str = "auto"
    device: str = "auto"
    prefill_tokens: int = 256
    fused: bool = True


_KEYS = {"dtype": "dtype", "device": "device", "prefillTokens": "prefill_tokens", "fused": "fused"}
_CHOICES = {"dtype": DTYPES, "device": DEVICES}


def parse_options(arguments: Mapping[str, Any]) -> Options:
    """Engine arguments as written in the stack file (camelCase). Raises EngineFailed."""
    values: dict[str, Any] = {}
    for key, value in arguments.items():
        if key not in _KEYS:
            raise EngineFailed(f"engineArgs.{key}: unknown{_nearest(key, tuple(_KEYS))}; known: {', '.join(_KEYS)}")
        values[_KEYS[key]] = _checked(key, value)
    return Options(**values)


def _checked(key: str, value: Any) -> Any:
    if key in _CHOICES:
        if value not in _CHOICES[key]:
            hint = _nearest(str(value), _CHOICES[key])
            raise EngineFailed(f"engineArgs.{key}: {value!r} is not one of {', '.join(_CHOICES[key])}{hint}")
    elif key == "fused":
        if not isinstance(value, bool):
            raise EngineFailed(f"engineArgs.fused: {value!r} is not true or false")
    elif not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise EngineFailed(f"engineArgs.{key}: {value!r} is not a whole number from 1")
    return value


def _nearest(word: str, known: tuple[str, ...]) -> str:
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower().replace("_", ""), by_lower, n=1, cutoff=0.4)
    return f", did you mean {by_lower[close[0]]}?" if close else ""
