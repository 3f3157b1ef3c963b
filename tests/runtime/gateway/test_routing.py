"""The choice of version and replica."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import pytest

from runtime.gateway.routing import SmoothWeighted, least_loaded, named_version


@pytest.mark.parametrize("weights", [{"a": 90, "b": 10}, {"a": 50, "b": 50}, {"a": 1, "b": 98, "c": 1}, {"a": 100}])
def test_the_split_follows_the_weights_exactly(weights: dict[str, int]) -> None:
    choice = SmoothWeighted(weights)
    seen = Counter(choice.pick() for _ in range(2000))
    assert {name: count / 20 for name, count in seen.items()} == weights


def test_a_small_share_comes_evenly_and_not_in_one_run() -> None:
    choice = SmoothWeighted({"a": 80, "b": 20})
    picks = [choice.pick() for _ in range(100)]
    at = [index for index, name in enumerate(picks) if name == "b"]
    assert all(later - earlier == 5 for earlier, later in pairwise(at))


def test_a_weight_of_0_gets_nothing() -> None:
    assert SmoothWeighted({"a": 0}).pick() is None
    choice = SmoothWeighted({"a": 100, "b": 0})
    assert {choice.pick() for _ in range(200)} == {"a"}


def test_names_that_are_not_offered_are_passed_over() -> None:
    choice = SmoothWeighted({"a": 50, "b": 30, "c": 20})
    seen = Counter(choice.pick({"b", "c"}) for _ in range(500))
    assert seen == {"b": 300, "c": 200}
    assert choice.pick(set()) is None


@dataclass
class Load:
    name: str
    in_flight: int
    last_used: int


def test_the_least_loaded_replica_is_chosen_and_equal_ones_take_turns() -> None:
    loads = [Load("a", 2, 1), Load("b", 1, 9), Load("c", 1, 3)]
    chosen = least_loaded(loads)
    assert chosen is not None
    assert chosen.name == "c"
    assert least_loaded([]) is None


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("v1", "aaa"), ("aaa", "aaa"), ("bbb", "bbb"), ("v2", None), ("", None), ("AAA", None)],
)
def test_a_version_is_addressed_by_name_or_hash(wanted: str, found: str | None) -> None:
    assert named_version(wanted, {"v1": "aaa"}, {"aaa", "bbb"}) == found
