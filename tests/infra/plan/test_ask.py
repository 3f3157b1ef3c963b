"""Does this model fit that GPU?"""

from __future__ import annotations

import pytest

from infra.plan.ask import UnknownName, fit_of
from tests.infra.plan.stacks import CATALOG


@pytest.mark.parametrize(
    ("model", "gpu", "gpus"),
    [
        ("Qwen2.5-0.5B-Instruct", "tesla-t4", 1),
        ("Qwen2.5-7B-Instruct", "nvidia-a10", 1),
        ("Qwen2.5-7B-Instruct", "tesla-t4", 2),
        ("Llama-3.3-70B-Instruct", "nvidia-a100-80", 4),
        ("DeepSeek-R1", "nvidia-h200", 8),
    ],
)
def test_the_fewest_gpus_that_hold_a_model(model: str, gpu: str, gpus: int) -> None:
    answer = fit_of(CATALOG, model=model, gpu=gpu)
    assert (answer.fits, answer.gpus) == (True, gpus)
    assert sum(term.bytes for term in answer.terms) <= answer.room_bytes
    assert answer.largest_context >= answer.context
    assert answer.most_concurrency >= answer.concurrency


def test_what_does_not_fit_says_what_is_missing() -> None:
    answer = fit_of(CATALOG, model="Llama-3.3-70B-Instruct", gpu="tesla-t4", gpus=8)
    assert not answer.fits
    assert "Tesla T4 give" in answer.reason


@pytest.mark.parametrize(
    ("model", "gpu", "engine", "said"),
    [
        ("Qwen2.5-7B-Instruc", "nvidia-a10", "vllm", "did you mean Qwen2.5-7B-Instruct"),
        ("Qwen2.5-7B-Instruct", "nvidia-a11", "vllm", "did you mean nvidia-a10"),
        ("Qwen2.5-7B-Instruct", "nvidia-a10", "vlm", "did you mean vllm"),
    ],
)
def test_an_unknown_name_comes_with_the_nearest(model: str, gpu: str, engine: str, said: str) -> None:
    with pytest.raises(UnknownName, match=said):
        fit_of(CATALOG, model=model, gpu=gpu, engine=engine)
