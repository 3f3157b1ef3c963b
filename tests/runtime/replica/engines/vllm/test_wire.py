"""Bodies and chunks between the engine interface and vLLM."""

from __future__ import annotations

from runtime.replica.engines.base import Encoded, Sampling, Step, TokenLogprob
from runtime.replica.engines.vllm.wire import body_of, step_of


def text_of(token: int) -> str:
    return f"<{token}>"


def test_the_limit_is_cut_to_what_the_context_leaves() -> None:
    assert body_of("m", Encoded(tuple(range(90))), Sampling(max_tokens=50), context=100)["max_tokens"] == 10


def test_guided_decoding_is_vllms_structured_output() -> None:
    body = body_of("m", Encoded((1,)), Sampling(guided=("choice", '["a", "b"]')), context=100)
    assert body["structured_outputs"] == {"choice": ["a", "b"]}


def test_a_natural_end_is_an_empty_text_with_stop() -> None:
    chunk = {"choices": [{"text": "", "finish_reason": "stop"}], "usage": {"completion_tokens": 8}}
    assert step_of(chunk, text_of) == Step("", 8, "stop")


def test_the_closing_usage_is_no_step() -> None:
    assert step_of({"choices": [], "usage": {"completion_tokens": 8}}, text_of) is None


def test_tokens_come_as_ids_so_that_texts_are_exact() -> None:
    logprobs = {
        "tokens": ["token_id:7"],
        "token_logprobs": [-0.5],
        "top_logprobs": [{"token_id:7": -0.5, "token_id:9": -1.5}],
    }
    chunk = {"choices": [{"text": "x", "finish_reason": None, "logprobs": logprobs}], "usage": {"completion_tokens": 1}}
    step = step_of(chunk, text_of)
    assert step is not None
    assert step.logprobs == (TokenLogprob(7, "<7>", -0.5, ((7, "<7>", -0.5), (9, "<9>", -1.5))),)
