"""Tokens are counted from bytes that pass, however they are cut."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.replica.protocols.usage import StreamMeter, Usage, usage_of


def event(**content: object) -> bytes:
    return b"data: " + json.dumps(content, separators=(",", ":")).encode() + b"\n\n"


USAGE = {"prompt_tokens": 5, "total_tokens": 12, "completion_tokens": 7, "prompt_tokens_details": None}
STREAM = [event(choices=[{"text": text}]) for text in ("a", ' "usage":{ ', "\n\ndata: {", "b")]
DONE = b"data: [DONE]\n\n"


def fed(data: bytes, cuts: list[int]) -> StreamMeter:
    meter, at = StreamMeter(), 0
    for cut in [*sorted(cuts), len(data)]:
        meter.feed(data[at:cut])
        at = cut
    return meter


@given(st.lists(st.integers(0, 400), max_size=30))
def test_every_event_counts_once_wherever_the_bytes_are_cut(cuts: list[int]) -> None:
    data = b"".join(STREAM) + DONE
    meter = fed(data, [min(cut, len(data)) for cut in cuts])
    assert meter.events == 4
    assert meter.usage(chat=False) == Usage(None, 4)
    assert meter.usage(chat=True) == Usage(None, 3)


@given(st.lists(st.integers(0, 800), max_size=30))
def test_a_usage_is_believed_more_than_the_number_of_events(cuts: list[int]) -> None:
    data = b"".join(STREAM) + event(choices=[], usage=USAGE) + DONE
    assert fed(data, [min(cut, len(data)) for cut in cuts]).usage(chat=False) == Usage(5, 7)


@pytest.mark.parametrize(
    ("answer", "usage"),
    [
        (json.dumps({"choices": [], "usage": USAGE}, separators=(",", ":")), Usage(5, 7)),
        (json.dumps({"data": [], "usage": {"prompt_tokens": 3, "total_tokens": 3}}, separators=(",", ":")), Usage(3)),
        ('{"detail":"Not Found"}', Usage()),
        ("", Usage()),
    ],
)
def test_a_whole_answer_says_it_itself(answer: str, usage: Usage) -> None:
    assert usage_of(answer.encode()) == usage


def test_the_last_of_running_usages_counts() -> None:
    data = b"".join(event(choices=[{}], usage={"prompt_tokens": 5, "completion_tokens": n}) for n in (1, 2, 3))
    meter = StreamMeter()
    assert meter.feed(data) == 3
    assert meter.usage(chat=False) == Usage(5, 3)


def test_an_empty_stream_has_no_tokens() -> None:
    assert StreamMeter().usage(chat=True) == Usage(None, 0)
