"""How far could a placed version go: the longest context, the most sequences at once, on the devices it has. Pure."""

from __future__ import annotations

from collections.abc import Callable

from catalog import Engine
from infra.plan.document import Reach
from infra.plan.fit import Split, device_terms, total
from infra.plan.version import Wish

MOST_SEQUENCES = 4096


def reach(wish: Wish, engine: Engine, *, split: Split, room: int, gpu: bool, context: int, concurrency: int) -> Reach:
    """The longest context at this concurrency, and the most sequences at this context, that `room` bytes hold.

    The context is searched to the token, up to the model's own. Terms grow with both, so halving finds the edge.
    """

    def fits(tokens: int, sequences: int) -> bool:
        return total(device_terms(wish.need(tokens, sequences, engine), split, gpu=gpu)) <= room

    longest = _edge(lambda tokens: fits(tokens, concurrency), wish.architecture.context)
    most = _edge(lambda sequences: fits(context, sequences), MOST_SEQUENCES)
    return Reach(context=longest, concurrency=most)


def _edge(fits: Callable[[int], bool], most: int) -> int:
    """The largest number in 1..most that fits; 0 when none does."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low
