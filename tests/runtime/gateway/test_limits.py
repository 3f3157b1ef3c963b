"""The token bucket, on a clock that is passed in."""

from __future__ import annotations

import pytest

from runtime.gateway.limits import TokenBucket


def accepted(bucket: TokenBucket, now: float, tries: int) -> int:
    return sum(bucket.take(now) for _ in range(tries))


def test_a_limit_of_100_accepts_100_at_once_and_then_100_a_second() -> None:
    bucket = TokenBucket(100, 0.0)
    assert accepted(bucket, 0.0, 150) == 100
    assert accepted(bucket, 0.5, 150) == 50
    assert accepted(bucket, 0.51, 150) == 1
    assert accepted(bucket, 60.0, 150) == 100


def test_a_limit_of_0_accepts_everything() -> None:
    bucket = TokenBucket(0, 0.0)
    assert accepted(bucket, 0.0, 1000) == 1000
    assert bucket.wait_seconds(0.0) == 0.0


def test_a_limit_below_one_a_second_still_accepts_single_requests() -> None:
    bucket = TokenBucket(0.5, 0.0)
    assert accepted(bucket, 0.0, 3) == 1
    assert accepted(bucket, 1.0, 3) == 0
    assert accepted(bucket, 2.0, 3) == 1


def test_the_wait_for_the_next_token_is_known() -> None:
    bucket = TokenBucket(2, 0.0)
    accepted(bucket, 0.0, 2)
    assert bucket.wait_seconds(0.0) == pytest.approx(0.5)
    assert bucket.wait_seconds(0.4) == pytest.approx(0.1)
    assert bucket.wait_seconds(0.6) == 0.0
