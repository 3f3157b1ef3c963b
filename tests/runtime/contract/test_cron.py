"""Five-field schedules in UTC, beside a slow reader that looks at every minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from runtime.contract.cron import BadSchedule, five_fields, last, parse

NOW = datetime(2026, 11, 25, 13, 37, 12, tzinfo=UTC)  # a Wednesday


@pytest.mark.parametrize(
    ("schedule", "fired"),
    [
        ("* * * * *", "2026-11-25 13:37"),
        ("*/15 * * * *", "2026-11-25 13:30"),
        ("5/20 * * * *", "2026-11-25 13:25"),
        ("0 8 * * *", "2026-11-25 08:00"),
        ("0 18 * * *", "2026-11-24 18:00"),
        ("0,30 8-18/2 * * *", "2026-11-25 12:30"),
        ("0 8 * * 1-5", "2026-11-25 08:00"),
        ("0 8 * * mon-fri", "2026-11-25 08:00"),
        ("0 20 * * 7", "2026-11-22 20:00"),
        ("0 20 * * 0", "2026-11-22 20:00"),
        ("0 0 1 * *", "2026-11-01 00:00"),
        ("0 0 1 jan,jul *", "2026-07-01 00:00"),
        ("0 0 29 2 *", "2024-02-29 00:00"),
        ("0 0 13 * 5", "2026-11-20 00:00"),  # the 13th, or any Friday
        ("37 13 25 11 *", "2026-11-25 13:37"),
    ],
)
def test_a_schedule_fired_last_at(schedule: str, fired: str) -> None:
    assert parse(schedule).last(NOW).strftime("%Y-%m-%d %H:%M") == fired


@pytest.mark.parametrize(
    ("schedule", "why"),
    [
        ("0 8 * *", "it has 4 fields, not 5"),
        ("0 0 8 * * *", "it has 6 fields, not 5"),
        ("60 8 * * *", "its minute '60': it goes from 0 to 59"),
        ("0 24 * * *", "its hour '24': it goes from 0 to 23"),
        ("0 8 * * 5-1", "its day of week '5-1': it has a range that runs backwards"),
        ("*/0 * * * *", "its minute '*/0': it has a step of 0"),
        ("0 8 ? * *", "its day of month '?': it takes"),
        ("0 8 * febr *", "its month 'febr': it goes from 1 to 12"),
        ("0 0 31 4,6 *", "it never fires: no such month has a day 31"),
    ],
)
def test_what_is_no_schedule_is_refused_with_its_field(schedule: str, why: str) -> None:
    with pytest.raises(BadSchedule) as caught:
        parse(schedule)
    assert why in str(caught.value)


def field(low: int, high: int, sure: int = 0) -> some.SearchStrategy[tuple[str, frozenset[int]]]:
    """The text of a field, and what it means. `sure`: the highest number that comes in every month."""
    every = frozenset(range(low, high + 1))
    number = some.integers(low, sure or high)
    listed = some.lists(number, min_size=1, max_size=3).map(lambda all: (",".join(map(str, all)), frozenset(all)))
    spans = some.tuples(number, number).map(sorted)
    ranged = spans.map(lambda ends: (f"{ends[0]}-{ends[1]}", frozenset(range(ends[0], ends[1] + 1))))
    stepped = some.integers(1, sure or high).map(lambda step: (f"*/{step}", frozenset(range(low, high + 1, step))))
    return some.one_of(some.just(("*", every)), listed, ranged, stepped)


DAYS = 4


def slow_last(fields: tuple[tuple[str, frozenset[int]], ...], now: datetime) -> datetime | None:
    """Looks at every minute of the last days."""
    (_, minutes), (_, hours), (day_text, days), (_, months), (weekday_text, weekdays) = fields
    at = now.replace(second=0, microsecond=0)
    for _ in range(DAYS * 24 * 60):
        on_day, on_weekday = at.day in days, (at.weekday() + 1) % 7 in weekdays
        free = day_text.startswith("*") or weekday_text.startswith("*")
        right_day = (on_day and on_weekday) if free else (on_day or on_weekday)
        if right_day and at.minute in minutes and at.hour in hours and at.month in months:
            return at
        at -= timedelta(minutes=1)
    return None


@settings(max_examples=60, deadline=None)
@given(
    some.tuples(field(0, 59), field(0, 23), field(1, 31, 28), field(1, 12), field(0, 6)),
    some.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=some.just(UTC)),
)
def test_a_schedule_fires_when_a_slow_reader_says_so(
    fields: tuple[tuple[str, frozenset[int]], ...], now: datetime
) -> None:
    text = " ".join(text for text, _ in fields)
    found = parse(text).last(now)
    expected = slow_last(fields, now)
    if expected is None:
        assert found <= now.replace(second=0, microsecond=0) - timedelta(days=DAYS), text
    else:
        assert found == expected, text


def test_asking_again_within_a_minute_costs_nothing() -> None:
    minute = NOW.replace(second=0)
    before = last.cache_info().hits
    assert last("0 8 * * *", minute) == last("0 8 * * *", minute)
    assert last.cache_info().hits > before


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("0 8 * * *", "0 8 * * *"),
        ("0 0 8 * * *", "0 8 * * *"),
        ("00 0 8 ? * mon", "0 8 * * mon"),
        ("@daily", "0 0 * * *"),
        ("30 0 8 * * *", None),
        ("@every 1h", None),
        ("", None),
    ],
)
def test_other_dialects_are_said_in_five_fields_where_they_can_be(text: str, plain: str | None) -> None:
    assert five_fields(text) == plain
