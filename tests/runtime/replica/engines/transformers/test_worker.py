"""Which prompts' tokens the next step computes."""

from __future__ import annotations

from runtime.replica.engines.base import Sampling
from runtime.replica.engines.transformers.request import Request
from runtime.replica.engines.transformers.runners.base import Lane
from runtime.replica.engines.transformers.worker import Prefill, plan_chunks


def prefill(size: int, done: int = 0) -> Prefill:
    request = Request((1,) * size, Sampling(), max_tokens=1, stop_tokens=frozenset(), sink=None)
    return Prefill(request, Lane(), done)


def test_short_prompts_share_a_step() -> None:
    prefills = [prefill(10), prefill(20), prefill(30)]
    assert plan_chunks(prefills, 64) == [(prefills[0], 10), (prefills[1], 20), (prefills[2], 30)]


def test_a_long_prompt_comes_in_chunks_in_order_of_arrival() -> None:
    prefills = [prefill(100, done=50), prefill(20)]
    assert plan_chunks(prefills, 32) == [(prefills[0], 32)]
    assert plan_chunks([prefill(100, done=90), prefills[1]], 32)[1] == (prefills[1], 20)


def test_nothing_to_compute_gives_no_chunks() -> None:
    assert plan_chunks([], 32) == []
