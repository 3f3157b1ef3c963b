"""Ends an answer before a stop text, which may arrive in pieces."""

from __future__ import annotations

from collections.abc import Sequence


class StopText:
    """Holds back what could be the start of a stop text until it is certain.

    >>> stop = StopText(["END"])
    >>> stop.feed("one E"), stop.feed("N"), stop.feed("D two")
    (('one ', False), ('', False), ('', True))
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""

    def feed(self, text: str) -> tuple[str, bool]:
        """What became certain, and whether a stop text was met (nothing after it is returned)."""
        if not self._stops:
            return text, False
        held = self._held + text
        found = [at for stop in self._stops if (at := held.find(stop)) >= 0]
        if found:
            self._held = ""
            return held[: min(found)], True
        keep = max(_overlap(held, stop) for stop in self._stops)
        self._held = held[len(held) - keep :]
        return held[: len(held) - keep], False

    def rest(self) -> str:
        """What is still held when the answer ends for another reason."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that starts `stop`."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if stop.startswith(text[-length:]):
            return length
    return 0
