"""The longest context and the most sequences are edges: one more does not fit."""

from __future__ import annotations

import pytest

from infra.plan.architecture import read
from infra.plan.fit import Split, device_terms, total
from infra.plan.reach import reach
from infra.plan.version import Wish
from tests.infra.plan.stacks import CATALOG, GIB


@pytest.mark.parametrize(
    ("model", "split", "room"),
    [
        ("Qwen2.5-7B-Instruct", Split(), 21 * GIB),
        ("Llama-3.1-70B-Instruct", Split(tensor=4), 43 * GIB),
        ("DeepSeek-R1", Split(tensor=8), 120 * GIB),
        ("gemma-2-9b-it", Split(), 40 * GIB),
    ],
)
def test_one_more_token_or_sequence_does_not_fit(model: str, split: Split, room: int) -> None:
    entry, engine = CATALOG.models[model], CATALOG.engines["vllm"]
    wish = Wish(
        architecture=read(entry.config), weight_bytes=entry.weight_bytes, vision_bytes=0, adapter_bytes=0,
        cache_width=None, engine="vllm", context=None, concurrency=4,
    )  # fmt: skip

    def needed(context: int, concurrency: int) -> int:
        return total(device_terms(wish.need(context, concurrency, engine), split, gpu=True))

    edge = reach(wish, engine, split=split, room=room, gpu=True, context=2048, concurrency=4)
    assert needed(edge.context, 4) <= room
    assert edge.context == wish.architecture.context or needed(edge.context + 1, 4) > room
    assert needed(2048, edge.concurrency) <= room < needed(2048, edge.concurrency + 1)


def test_weights_that_do_not_fit_reach_nothing() -> None:
    entry, engine = CATALOG.models["Qwen2.5-7B-Instruct"], CATALOG.engines["vllm"]
    wish = Wish(
        architecture=read(entry.config), weight_bytes=entry.weight_bytes, vision_bytes=0, adapter_bytes=0,
        cache_width=None, engine="vllm", context=None, concurrency=4,
    )  # fmt: skip
    edge = reach(wish, engine, split=Split(), room=GIB, gpu=True, context=2048, concurrency=4)
    assert (edge.context, edge.concurrency) == (0, 0)
