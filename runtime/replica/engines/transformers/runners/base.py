"""A runner owns the model's K/V caches and computes one step for all sequences."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch


@dataclass(slots=True, eq=False)
class Lane:
    """The cache of one sequence whose prompt is being computed; `cache` is the runner's own."""

    cache: Any = None
    length: int = 0  # tokens in the cache


@dataclass(frozen=True, slots=True)
class Chunk:
    """The next part of one prompt."""

    lane: Lane
    tokens: Sequence[int]
    last: bool  # the prompt ends here: its logits are wanted and the lane joins the rows


@dataclass(slots=True)
class Rows:
    """Lengths of the sequences that decode, in row order; row i of every cache belongs to the i-th."""

    lengths: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.lengths)


class Runner(ABC):
    """Rows stay compact: a sequence that ends is replaced by the last row."""

    name: str

    def __init__(self) -> None:
        self.rows = Rows()

    def open(self, length: int) -> Lane:
        """A lane for a new prompt of `length` tokens."""
        return Lane()

    @abstractmethod
    def step(self, tokens: Sequence[int], chunks: Sequence[Chunk]) -> torch.Tensor:
        """Feed one token to each row and compute the chunks.

        Returns logits [rows + last chunks, vocabulary]: first of the rows, then of each chunk that is its prompt's
        last. The lanes of last chunks have become rows, in that order, behind the present ones.
        """

    @abstractmethod
    def leave(self, row: int) -> None:
        """Free a row: the last row takes its place."""

    @abstractmethod
    def reset(self) -> None:
        """Forget all sequences and give memory back."""

    def tokens_held(self) -> int:
        """Tokens in the caches of the rows."""
        return sum(self.rows.lengths)
