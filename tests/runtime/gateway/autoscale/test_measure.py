"""Rates, means and windows over samples."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from runtime.gateway.autoscale.measure import OBSERVE_SECONDS, Sample, asked_between, measure, recent, waiting
from runtime.gateway.autoscale.window import Peaks


def run(*samples: Sample) -> tuple[Sample, ...]:
    kept: tuple[Sample, ...] = ()
    for sample in samples:
        kept = recent(kept, sample)
    return kept


def test_a_rate_is_over_the_last_seconds_alone() -> None:
    samples = [Sample(at=second, requests=20 * second) for second in range(31)]
    assert measure(run(*samples)).qps == 20
    samples += [Sample(at=30 + second, requests=600) for second in range(1, 6)]
    assert measure(run(*samples)).qps == 10
    samples += [Sample(at=35 + second, requests=600) for second in range(1, 6)]
    assert measure(run(*samples)).qps == 0


def test_a_burst_after_a_start_is_no_high_rate() -> None:
    assert measure(run(Sample(at=0.0), Sample(at=1.0, requests=20))).qps == 20 / OBSERVE_SECONDS


def test_what_runs_and_what_waits_is_a_mean() -> None:
    samples = [Sample(at=second, in_flight=4, held=second % 2) for second in range(21)]
    assert measure(run(*samples)).concurrency == 4.5


def test_a_time_is_the_mean_of_the_answers_in_the_window() -> None:
    first = Sample(at=0.0, ttft_count=10, ttft_ms=10_000)
    assert measure(run(first, Sample(at=5.0, ttft_count=14, ttft_ms=10_800))).ttft_ms == 200
    assert measure(run(first, Sample(at=5.0, ttft_count=10, ttft_ms=10_000))).ttft_ms is None


def test_a_queue_nobody_was_asked_about_is_unknown() -> None:
    assert measure(run(Sample(at=0.0), Sample(at=1.0))).queue is None
    assert measure(run(Sample(at=0.0, queue=2), Sample(at=1.0), Sample(at=2.0, queue=4))).queue == 3


def test_a_request_that_comes_runs_or_waits_is_wanted_of_the_version() -> None:
    before = Sample(at=0.0, requests=3, wishes=1)
    assert not asked_between(before, Sample(at=1.0, requests=3, wishes=1))
    for after in (
        Sample(at=1.0, requests=4, wishes=1),
        Sample(at=1.0, requests=3, wishes=2),
        Sample(at=1.0, requests=3, wishes=1, in_flight=1),
        Sample(at=1.0, requests=3, wishes=1, held=0.25),
    ):
        assert asked_between(before, after)


def test_a_request_waits_when_it_is_held_or_another_version_served_it() -> None:
    before = Sample(at=0.0, wishes=1)
    assert waiting(None, Sample(at=0.0, held=0.1))
    assert waiting(before, Sample(at=1.0, wishes=2))
    assert not waiting(before, Sample(at=1.0, wishes=1, in_flight=1))
    assert not waiting(None, Sample(at=1.0, wishes=5)), "nobody knows when those were"


@given(
    some.lists(some.tuples(some.integers(0, 5), some.integers(-9, 9)), min_size=1, max_size=40), some.integers(0, 20)
)
def test_a_window_knows_the_highest_as_one_that_keeps_everything(said: list[tuple[int, int]], seconds: int) -> None:
    peaks, all_said, now = Peaks(), [], 0
    for pause, value in said:
        now += pause
        all_said.append((now, value))
        peaks = peaks.add(now, value, seconds)
        assert peaks.highest == max([value, *(each for at, each in all_said if at > now - seconds)])
    assert len(peaks.entries) <= len({value for _, value in said})
