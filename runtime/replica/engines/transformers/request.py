"""One generation inside the engine: what the worker's thread and the event loop know of it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from runtime.replica.engines.base import FinishReason, Sampling, TokenLogprob


@dataclass(slots=True, eq=False)
class Request:
    """Owned by the worker's thread once submitted; only `cancelled` is written by the event loop."""

    prompt: tuple[int, ...]
    sampling: Sampling
    max_tokens: int  # already cut to what the context leaves
    stop_tokens: frozenset[int]  # end tokens and sampling.stop_tokens, all end the generation
    sink: Any  # what the event loop delivers to; opaque here
    cancelled: bool = False
    output: list[int] = field(default_factory=list)
    counts: dict[int, int] = field(default_factory=dict)  # of each token in `output`
    prompt_set: frozenset[int] = field(init=False)
    generator: random.Random = field(init=False)

    def __post_init__(self) -> None:
        # A generator of its own: the batch's company cannot change what a seed gives.
        self.prompt_set = frozenset(self.prompt) if self.sampling.repetition_penalty != 1.0 else frozenset()
        self.generator = random.Random(self.sampling.seed)

    def append(self, token: int) -> None:
        """The token that was drawn."""
        self.output.append(token)
        self.counts[token] = self.counts.get(token, 0) + 1

    @property
    def next_input(self) -> int:
        """The token that the next decode step reads."""
        return self.output[-1]


@dataclass(frozen=True, slots=True)
class Sampled:
    """One token of one request, as handed to the event loop. An end token has `ended` and is not text."""

    request: Request
    token: int
    count: int
    finish: FinishReason | None
    ended: bool
    logprobs: tuple[TokenLogprob, ...] = ()


def judge(request: Request, token: int) -> tuple[FinishReason | None, bool]:
    """Whether the generation ends with this token (already in `output`), and whether the token itself ended it."""
    if token in request.stop_tokens:
        return "stop", True
    if len(request.output) >= request.max_tokens:
        return "length", False
    return None, False
