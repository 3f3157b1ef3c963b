"""The highest of what was said in the last so many seconds. Pure: a window is a value, time is passed in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Peaks:
    """Only what can still become the highest is kept: newest last, values strictly falling."""

    entries: tuple[tuple[float, int], ...] = ()  # (seconds, value)

    def add(self, now: float, value: int, seconds: float) -> Peaks:
        """The window after `value` was said at `now`, without what is older than `seconds`."""
        kept = [entry for entry in self.entries if entry[0] > now - seconds and entry[1] > value]
        return Peaks((*kept, (now, value)))

    @property
    def highest(self) -> int:
        """Of what is left; a window is read after something was added."""
        return self.entries[0][1]
