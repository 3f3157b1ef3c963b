"""Engine arguments as written in a stack file."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.replica.engines.base import EngineFailed
from runtime.replica.engines.transformers.options import Options, parse_options


def test_nothing_written_gives_the_defaults() -> None:
    assert parse_options({}) == Options()


def test_known_arguments_are_taken() -> None:
    given = {"dtype": "float32", "device": "cpu", "prefillTokens": 64, "fused": False}
    assert parse_options(given) == Options("float32", "cpu", 64, False)


@pytest.mark.parametrize(("arguments", "text"), [
    ({"dtyp": "float32"}, "engineArgs.dtyp: unknown, did you mean dtype?"),
    ({"prefill_tokens": 3}, "did you mean prefillTokens?"),
    ({"dtype": "float23"}, "is not one of auto, float32, bfloat16, float16, did you mean float32?"),
    ({"prefillTokens": 0}, "engineArgs.prefillTokens: 0 is not a whole number from 1"),
    ({"prefillTokens": True}, "True is not a whole number"),
    ({"fused": "yes"}, "engineArgs.fused: 'yes' is not true or false"),
    ({"zzz": 1}, "known: dtype, device, prefillTokens, fused"),
])  # fmt: skip
def test_an_error_names_key_value_and_what_would_work(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(EngineFailed) as error:
        parse_options(arguments)
    assert text in str(error.value)
