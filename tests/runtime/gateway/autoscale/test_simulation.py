"""Any load, any bounds, replicas that take their time: the count stays in bounds, arrives, and rests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as some

from runtime.contract.host import VersionView
from runtime.contract.scaling import ScaleMetric, ScaleTarget, Scaling
from runtime.contract.version import Bounds
from runtime.gateway.autoscale.demand import TOLERANCE
from runtime.gateway.autoscale.measure import Sample
from runtime.gateway.autoscale.rules import Memory, step

UTC_NOW = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)
DOWN = 30
bounds = some.tuples(some.integers(0, 6), some.integers(1, 12)).filter(lambda pair: pair[0] < pair[1])
loads = some.integers(0, 150)


def simulate(
    low: int, high: int, live: int, load: list[int], *, metric: ScaleMetric, target: float, starting: int, idle: int
) -> list[int]:
    """The live count of each second; replicas get ready `starting` seconds after they were wanted."""
    scaling = Scaling(target=ScaleTarget(metric=metric, value=target), down_seconds=DOWN, idle_seconds=idle)
    version = VersionView(bounds=Bounds(min=low, max=high), scaling=scaling, live=live)
    memory: Memory | None = None
    history = [live]
    sample = Sample(at=0.0)
    for second, amount in enumerate(load):
        ready = min(history[-starting - 1 :])
        rate = amount if metric is ScaleMetric.QPS else min(amount, 1)
        sample = replace(
            sample,
            at=float(second),
            in_flight=amount if ready else 0,
            held=0 if ready else amount,
            requests=sample.requests + (rate if ready else 0),
        )
        memory, decision = step(memory, version, ready=ready, sample=sample, utc=UTC_NOW)
        version = version.model_copy(update={"live": decision.replicas})
        history.append(decision.replicas)
    return history


@settings(max_examples=80, deadline=None)
@given(
    bounds,
    some.lists(some.tuples(loads, some.integers(1, 25)), min_size=1, max_size=8),
    some.floats(1, 40),
    some.integers(0, 15),
    some.sampled_from([ScaleMetric.QPS, ScaleMetric.CONCURRENCY]),
    some.data(),
)
def test_whatever_comes_the_count_stays_in_its_bounds(
    limits: tuple[int, int],
    phases: list[tuple[int, int]],
    target: float,
    starting: int,
    metric: ScaleMetric,
    data: some.DataObject,
) -> None:
    low, high = limits
    live = data.draw(some.integers(low, high))
    load = [amount for amount, seconds in phases for _ in range(seconds)]
    history = simulate(low, high, live, load, metric=metric, target=target, starting=starting, idle=20)
    assert all(low <= count <= high for count in history)


@settings(max_examples=80, deadline=None)
@given(
    bounds,
    some.integers(1, 150),
    some.integers(1, 40),
    some.integers(0, 15),
    some.sampled_from([ScaleMetric.QPS, ScaleMetric.CONCURRENCY]),
    some.data(),
)
def test_under_a_steady_load_it_arrives_at_what_is_needed_and_rests(
    limits: tuple[int, int], amount: int, target: int, starting: int, metric: ScaleMetric, data: some.DataObject
) -> None:
    low, high = limits
    live = data.draw(some.integers(low, high))
    history = simulate(low, high, live, [amount] * 150, metric=metric, target=target, starting=starting, idle=1000)
    rest = history[-60:]
    assert len(set(rest)) == 1, "it rests"
    needed = amount / target
    count = rest[-1]
    enough = count * (1 + TOLERANCE) >= needed - 1e-9 or count == high
    frugal = (count - 1) * (1 - TOLERANCE) <= needed or (count - 1) < needed or count == max(low, 1)
    assert enough, (count, needed)
    assert frugal, (count, needed)


@settings(max_examples=60, deadline=None)
@given(some.integers(2, 12), some.integers(5, 40), some.lists(some.floats(-0.09, 0.09), min_size=60, max_size=120))
def test_noise_within_the_tolerance_moves_nothing(live: int, target: int, noise: list[float]) -> None:
    load = [round(live * target * (1 + each)) for each in noise]
    near = [amount for amount in load if abs(amount / (live * target) - 1) <= TOLERANCE]
    history = simulate(1, 20, live, near, metric=ScaleMetric.CONCURRENCY, target=target, starting=0, idle=1000)
    assert set(history) == {live}


@settings(max_examples=40, deadline=None)
@given(some.integers(1, 12), some.integers(1, 60), some.integers(0, 30))
def test_without_requests_it_sleeps_and_the_first_one_wakes_it(high: int, idle: int, starting: int) -> None:
    quiet = simulate(
        0, high, 1, [0] * (idle + starting + 3), metric=ScaleMetric.QPS, target=5, starting=starting, idle=idle
    )
    assert quiet[-1] == 0
    woken = simulate(
        0, high, 0, [0, 0, 1, *[0] * (starting + 1)], metric=ScaleMetric.QPS, target=5, starting=starting, idle=idle
    )
    assert woken[3] == 1
    assert woken[-1] == 1, "nothing ends while it is still starting"
