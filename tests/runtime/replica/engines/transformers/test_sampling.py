"""Sampling against plain reference arithmetic on small distributions."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from transformers import RepetitionPenaltyLogitsProcessor, TopKLogitsWarper, TopPLogitsWarper

from runtime.replica.engines.base import Sampling
from runtime.replica.engines.transformers import sampling as module
from runtime.replica.engines.transformers.request import Request
from runtime.replica.engines.transformers.sampling import sample


def request(prompt: tuple[int, ...] = (), output: tuple[int, ...] = (), **fields: Any) -> Request:
    one = Request(prompt, Sampling(**fields), max_tokens=10, stop_tokens=frozenset(), sink=None)
    for token in output:
        one.append(token)
    return one


def draws(logits: torch.Tensor, one: Request, times: int) -> Counter[int]:
    return Counter(sample(logits[None], [one], str)[0].token for _ in range(times))


def close(counts: Counter[int], expected: torch.Tensor, times: int) -> bool:
    """Each frequency within five standard deviations of its probability."""
    return all(
        abs(counts[token] / times - p) <= 5 * (p * (1 - p) / times) ** 0.5 + 1e-9
        for token, p in enumerate(expected.tolist())
    )


LOGITS = torch.tensor([2.0, 1.0, 0.5, 0.0, -1.0, -3.0])


@pytest.mark.parametrize("fields", [
    {},
    {"temperature": 0.5},
    {"top_k": 3},
    {"top_p": 0.8},
    {"top_k": 4, "top_p": 0.7, "temperature": 1.7},
    {"top_k": 1},
    {"top_p": 0.01},
    {"top_k": 100},
])  # fmt: skip
@pytest.mark.parametrize("candidates", [2, 1024])
def test_frequencies_follow_transformers_own_processors(
    fields: dict[str, Any], candidates: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two candidates: nearly every draw goes through the path that sorts the whole row.
    monkeypatch.setattr(module, "_CANDIDATES", candidates)
    scores = LOGITS[None] / fields.get("temperature", 1.0)
    if top_k := fields.get("top_k"):
        scores = TopKLogitsWarper(top_k)(None, scores)
    if top_p := fields.get("top_p"):
        scores = TopPLogitsWarper(top_p)(None, scores)
    expected = torch.softmax(scores[0], -1)
    counts = draws(LOGITS, request(seed=3, **fields), 4000)
    assert close(counts, expected, 4000), (counts, expected)


def test_rows_with_different_parameters_share_one_call() -> None:
    requests = [
        request(temperature=0),
        request(seed=1, top_k=2),
        request(seed=2, temperature=0.7, top_p=0.9),
        request(seed=5),
    ]
    together = [[draw.token for draw in sample(LOGITS.expand(4, -1), requests, str)] for _ in range(20)]
    assert all(step[0] == 0 for step in together)
    alone = request(seed=2, temperature=0.7, top_p=0.9)
    assert [step[2] for step in together] == [sample(LOGITS[None], [alone], str)[0].token for _ in range(20)]


def test_the_repetition_penalty_is_transformers_own() -> None:
    one = request(prompt=(0, 4), output=(1, 1), temperature=0, repetition_penalty=3.0)
    expected = RepetitionPenaltyLogitsProcessor(3.0)(torch.tensor([[0, 4, 1, 1]]), LOGITS[None].clone())
    penalised = module._penalise(LOGITS[None].clone(), [one], [0])
    assert torch.equal(penalised, expected)
    assert sample(LOGITS[None], [one], str)[0].token == int(expected.argmax())


def test_presence_and_frequency_penalties_count_the_output_alone() -> None:
    one = request(prompt=(0, 0), output=(1, 1, 2), presence_penalty=0.5, frequency_penalty=0.25)
    penalised = module._penalise(LOGITS[None].clone(), [one], [0])[0]
    assert penalised.tolist() == [2.0, 1.0 - 0.5 - 0.5, 0.5 - 0.5 - 0.25, 0.0, -1.0, -3.0]


def test_penalties_and_draws_leave_the_given_logits_alone() -> None:
    logits = LOGITS[None].clone()
    sample(logits, [request(prompt=(0,), repetition_penalty=2.0, seed=1, logprobs=2)], str)
    assert torch.equal(logits[0], LOGITS)


def test_log_probabilities_are_those_before_penalties_and_temperature() -> None:
    one = request(prompt=(0,), repetition_penalty=9.0, temperature=0, logprobs=2)
    (draw,) = sample(LOGITS[None], [one], str)
    expected = torch.log_softmax(LOGITS, -1)
    assert draw.token == 1
    assert draw.logprobs[0].logprob == pytest.approx(float(expected[1]))
    assert [token for token, _, _ in draw.logprobs[0].top] == [0, 1]
