"""Table 4.3 and its leniency rules, as pure functions."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.replica.answers import BadRequest
from runtime.replica.engines.base import Message, Sampling
from runtime.replica.protocols.chatllm_request import ChatRequest, parse, prompt_of


def ask(**fields: Any) -> ChatRequest:
    return parse(json.dumps(fields).encode(), "", stream_default=False)


def test_4_3_defaults() -> None:
    request = ask(prompt="Q")
    assert request.sampling == Sampling(max_tokens=2048, temperature=0.95, top_k=30, top_p=0.8)
    assert (request.stream, request.langchain, request.no_template) == (False, False, False)
    assert (request.system_prompt, request.history, request.form) == (None, None, "json")
    assert parse(b"text", "", stream_default=True).sampling == request.sampling


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 0},
        {"temperature": "0.0"},
        {"top_p": 0},
        {"do_sample": False},
        {"do_sample": "False", "temperature": 0.9, "top_k": 3, "top_p": 0.5},
    ],
)
def test_4_3_each_way_to_ask_for_greedy(fields: dict[str, Any]) -> None:
    assert ask(prompt="Q", **fields).sampling.temperature == 0


@pytest.mark.parametrize("value", [0, -1, "0", "-1"])
def test_4_3_top_k_0_and_minus_1_mean_no_limit(value: Any) -> None:
    assert ask(prompt="Q", top_k=value).sampling.top_k == 0


@pytest.mark.parametrize(("value", "wanted"), [("512", 512), (512.0, 512), (" 7 ", 7), (10**30, 2**31 - 1)])
def test_4_3_numbers_may_be_numeric_strings(value: Any, wanted: int) -> None:
    assert ask(prompt="Q", max_new_tokens=value).sampling.max_tokens == wanted


def test_4_3_fields_of_the_1_0_era() -> None:
    assert ask(prompt="Q", max_length=5).sampling.max_tokens == 5
    assert ask(prompt="Q", max_length=5, max_new_tokens=6).sampling.max_tokens == 6
    assert ask(prompt="Q", repetition_penalty="1.2").sampling.repetition_penalty == 1.2
    assert ask(input_ids="Q").form == "v1"
    assert ask(input_ids="Q", prompt=None).form == "v1"


@pytest.mark.parametrize("value", [None, "", []])
def test_4_3_null_and_empty_mean_absent(value: Any) -> None:
    names = (
        ["stop", "stop_sequences"]
        if value == []
        else [
            "max_new_tokens",
            "temperature",
            "top_k",
            "top_p",
            "do_sample",
            "history",
            "langchain",
            "use_stream",
            "stop",
        ]
    )
    assert ask(prompt="Q", **dict.fromkeys(names, value)) == ask(prompt="Q")


def test_4_3_what_langchain_sends_is_understood() -> None:
    request = ask(prompt="Q", max_new_tokens=512, temperature=0.95, top_p=0.1, top_k=0, stop_sequences=[], stop=None)
    assert request.sampling == Sampling(max_tokens=512, temperature=0.95, top_k=0, top_p=0.1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prompt", 3), ("prompt", ["x"]), ("system_prompt", {}), ("input_ids", [1, 2]),
        ("max_new_tokens", 0), ("max_new_tokens", -5), ("max_new_tokens", "many"), ("max_new_tokens", 1.5),
        ("max_new_tokens", True),
        ("temperature", -0.1), ("temperature", "hot"), ("temperature", "nan"), ("temperature", []),
        ("top_k", -2), ("top_k", 1.5), ("top_p", 1.1), ("top_p", -0.1), ("repetition_penalty", 0),
        ("do_sample", "maybe"), ("do_sample", 5), ("use_stream_chat", "yes"), ("use_cache", "x"), ("langchain", []),
        ("stop", 5), ("stop", [5]), ("stop_sequences", {"a": 1}),
        ("history", "x"), ("history", [["a"]]), ("history", [["a", 1]]), ("history", ["ab"]),
        ("history", [{"role": "user"}]),
    ],
)  # fmt: skip
def test_4_3_a_wrong_value_is_refused_and_its_field_named(name: str, value: Any) -> None:
    with pytest.raises(BadRequest, match=name):
        ask(**{"prompt": "Q", name: value} if name != "input_ids" else {name: value})


def test_4_3_the_dialogue_goes_through_the_template_unless_it_is_switched_off() -> None:
    request = ask(prompt="Q", system_prompt="S", history=[[], ["a", "b"]])
    assert prompt_of(request).messages == (
        Message("system", "S"), Message("user", "a"), Message("assistant", "b"), Message("user", "Q"),
    )  # fmt: skip
    assert prompt_of(ask(prompt="Q", system_prompt="")).messages == (Message("user", "Q"),)
    plain = prompt_of(ask(prompt="Q", history=[["a", "b"]], no_template="true"))
    assert (plain.text, plain.messages) == ("Q", ())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
FIELDS = (
    "prompt", "system_prompt", "history", "max_new_tokens", "temperature", "top_k", "top_p", "do_sample", "use_cache",
    "langchain", "use_stream_chat", "use_stream", "stop", "stop_sequences", "no_template", "input_ids",
    "repetition_penalty", "max_length",
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6))
def test_4_3_any_object_is_a_request_or_a_bad_request(fields: dict[str, Any]) -> None:
    try:
        request = parse(orjson.dumps(fields, option=orjson.OPT_NON_STR_KEYS), "application/json", stream_default=False)
    except (BadRequest, TypeError):  # TypeError: orjson cannot write this integer
        return
    assert request.sampling.max_tokens >= 1
    assert request.sampling.temperature >= 0


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=40), st.sampled_from(["", "application/json", "text/plain"]))
def test_4_1_any_bytes_are_a_request_or_a_bad_request(body: bytes, content_type: str) -> None:
    try:
        assert parse(body, content_type, stream_default=True).prompt is not None
    except BadRequest:
        return
