"""Numbers as a reader wants them."""

from __future__ import annotations

import pytest

from infra.plan.units import duration


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (11, "11 s"), (149, "149 s"), (151, "151 s = 3 min"), (381, "381 s = 6 min"),
     (3600, "3600 s = 1 h 0 min"), (7472, "7472 s = 2 h 5 min")],
)  # fmt: skip
def test_a_duration_adds_up_in_seconds_and_is_read_in_minutes(seconds: float, said: str) -> None:
    assert duration(seconds) == said
