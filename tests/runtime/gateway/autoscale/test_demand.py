"""What each metric asks for."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.contract.scaling import ScaleMetric, ScaleTarget
from runtime.gateway.autoscale.demand import demand
from runtime.gateway.autoscale.measure import Measures


def seen(**given: Any) -> Measures:
    return Measures(**{"qps": 1.0, "concurrency": 1.0, "queue": None, "ttft_ms": None, **given})


def wanted(metric: str, value: float, measures: Measures, *, live: int, ready: int | None = None) -> int:
    target = ScaleTarget(metric=ScaleMetric(metric), value=value)
    return demand(target, measures, live=live, ready=live if ready is None else ready, settled=3600).replicas


@pytest.mark.parametrize(
    ("live", "average", "replicas"),
    [
        (2, 23, 5),  # EAS's own examples
        (5, 2, 1),
        (2, 10, 2),
        (2, 11, 2),  # within 10 %
        (2, 9, 2),
        (2, 11.1, 3),
        (10, 8.9, 9),
        (1, 10.5, 1),
        (1, 100, 10),
        (3, 10 / 3, 1),  # exactly one: no rounding error makes it two
    ],
)
@pytest.mark.parametrize("metric", ["qps", "concurrency"])
def test_amounts_follow_eas_formula(metric: str, live: int, average: float, replicas: int) -> None:
    assert wanted(metric, 10, seen(**{metric: live * average}), live=live) == replicas


def test_replicas_that_are_not_ready_make_an_amount_ask_for_no_more() -> None:
    assert wanted("concurrency", 10, seen(concurrency=40), live=4, ready=1) == 4
    assert wanted("concurrency", 10, seen(concurrency=40), live=9, ready=0) == 4


@pytest.mark.parametrize(
    ("live", "waiting", "replicas"),
    [(2, 30, 6), (2, 10, 2), (4, 0, 3), (4, 3, 3), (2, 11, 2), (1, 25, 5)],
)
def test_a_queue_grows_by_the_formula_and_shrinks_by_one(live: int, waiting: float, replicas: int) -> None:
    assert wanted("queue", 5, seen(queue=waiting), live=live) == replicas


@pytest.mark.parametrize(
    ("live", "ready", "mean", "replicas"),
    [
        (2, 2, 500, 2),
        (2, 2, 549, 2),
        (2, 2, 750, 3),
        (2, 2, 5000, 4),  # at most twice at a time
        (4, 2, 5000, 4),  # two are on their way
        (4, 1, 5000, 4),
        (4, 4, 50, 3),
        (2, 0, 5000, 2),
    ],
)
def test_times_move_in_small_steps(live: int, ready: int, mean: float, replicas: int) -> None:
    assert wanted("ttftMs", 500, seen(ttft_ms=mean), live=live, ready=ready) == replicas


def test_times_from_before_replicas_came_are_not_believed() -> None:
    target = ScaleTarget(metric=ScaleMetric.TTFT_MS, value=500)
    late = seen(ttft_ms=5000)
    assert demand(target, late, live=4, ready=4, settled=5).replicas == 4
    assert demand(target, late, live=4, ready=4, settled=25).replicas == 8


def test_what_is_not_known_moves_nothing() -> None:
    assert wanted("ttftMs", 500, seen(), live=3) == 3
    assert wanted("queue", 5, seen(), live=3) == 3


@pytest.mark.parametrize("metric", ["qps", "concurrency", "queue", "ttftMs"])
def test_without_any_request_nothing_is_needed(metric: str) -> None:
    assert wanted(metric, 5, seen(qps=0.0, concurrency=0.0, queue=0.0), live=3) == 0


def test_the_reason_says_what_was_measured_and_what_was_wanted() -> None:
    target = ScaleTarget(metric=ScaleMetric.QPS, value=10)
    reason = demand(target, seen(qps=46.0), live=2, ready=2, settled=60).reason
    assert reason == "46 requests per second, target 10 per replica"
