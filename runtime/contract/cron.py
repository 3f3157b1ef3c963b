"""Cron schedules of five fields in UTC: minute, hour, day of month, month, day of week. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_LONGEST_PAUSE_DAYS = 8 * 366 + 7  # 29 February is left out in 2100
_ITEM = re.compile(r"(?:(?P<all>\*)|(?P<low>[a-z0-9]+)(?:-(?P<high>[a-z0-9]+))?)(?:/(?P<step>[0-9]+))?")


class BadSchedule(ValueError):
    """No schedule: the text says which field is wrong and what it may be."""


@dataclass(frozen=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()  # of low, low + 1, ...

    def parse(self, text: str) -> frozenset[int]:
        """The values that a field names. Raises BadSchedule."""
        return frozenset(value for item in text.lower().split(",") for value in self._item(item, text))

    def _item(self, item: str, text: str) -> range:
        match = _ITEM.fullmatch(item)
        if match is None:
            raise self._bad(text, "takes *, numbers, ranges 1-5, lists 1,2 and steps */10")
        step = int(match["step"] or 1)
        if step == 0:
            raise self._bad(text, "has a step of 0")
        if match["all"]:
            return range(self.low, self.high + 1, step)
        low = self._number(match["low"], text)
        last = self.high if match["step"] else low
        high = self._number(match["high"], text) if match["high"] else last
        if low > high:
            raise self._bad(text, f"has a range that runs backwards, {match['low']}-{match['high']}")
        return range(low, high + 1, step)

    def _number(self, word: str, text: str) -> int:
        if word in self.names:
            return self.low + self.names.index(word)
        if not word.isdecimal() or not self.low <= int(word) <= self.high:
            raise self._bad(text, f"goes from {self.low} to {self.high}")
        return int(word)

    def _bad(self, text: str, why: str) -> BadSchedule:
        return BadSchedule(f"its {self.name} {text!r}: it {why}")


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 7, _WEEKDAYS),  # 7 is Sunday too
)


@dataclass(frozen=True)
class Schedule:
    """When a job fires, to the minute."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]  # 0 is Sunday
    either: bool  # both days are restricted: then one of them is enough, as cron has always had it

    def last(self, now: datetime) -> datetime:
        """The newest minute that fires, `now`'s own included. `now` is in UTC."""
        day, latest = now.date(), now.time()
        for _ in range(_LONGEST_PAUSE_DAYS):
            if self._on(day.month, day.day, day.isoweekday() % 7):
                for hour in sorted(self.hours, reverse=True):
                    for minute in sorted(self.minutes, reverse=True):
                        if (at := time(hour, minute)) <= latest:
                            return datetime.combine(day, at, UTC)
            day, latest = day - timedelta(days=1), time.max
        raise AssertionError("parse refuses a schedule that never fires")

    def _on(self, month: int, day: int, weekday: int) -> bool:
        if month not in self.months:
            return False
        if self.either:
            return day in self.days or weekday in self.weekdays
        return day in self.days and weekday in self.weekdays


@lru_cache(maxsize=4096)
def parse(text: str) -> Schedule:
    """A schedule; raises BadSchedule.

    Fields: `*`, numbers, ranges `1-5`, lists `1,2`, steps `*/10`; months and days of the week also by English name.
    """
    words = text.split()
    if len(words) != len(_FIELDS):
        raise BadSchedule(f"it has {len(words)} fields, not 5: minute, hour, day of month, month, day of week")
    minutes, hours, days, months, weekdays = (field.parse(word) for field, word in zip(_FIELDS, words, strict=True))
    either = not words[2].startswith("*") and not words[4].startswith("*")
    if not either and min(days) > max(_LONGEST_MONTH[month - 1] for month in months):
        raise BadSchedule(f"it never fires: no such month has a day {min(days)}")
    return Schedule(minutes, hours, days, months, frozenset(each % 7 for each in weekdays), either)


@lru_cache(maxsize=4096)
def last(text: str, minute: datetime) -> datetime:
    """When a schedule fired last, `minute` included. Raises BadSchedule."""
    return parse(text).last(minute)


_WORDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


def five_fields(text: str) -> str | None:
    """What other dialects say (words like @daily, seconds that are 0, `?`) in five fields; None: it cannot be said."""
    words = _WORDS.get(text.strip().lower(), text).split()
    if len(words) == len(_FIELDS) + 1 and words[0] in ("0", "00"):
        words = words[1:]
    plain = " ".join("*" if word == "?" else word for word in words)
    try:
        parse(plain)
    except BadSchedule:
        return None
    return plain
