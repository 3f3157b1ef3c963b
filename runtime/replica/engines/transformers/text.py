"""Tokens to text while they arrive: no half characters, and no stop text or beginning of one, ever leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Decode = Callable[[Sequence[int]], str]
"""Token ids to text, special tokens left out."""

_REPLACEMENT = "\ufffd"  # what a tokenizer shows for a character whose last bytes have not come yet


class Detokenizer:
    """Text that became certain with each token.

    Only a short window of tokens is decoded each time: `_context` tokens whose text is known and has left, then the
    new ones. Decoding them together keeps what depends on the neighbour (a space before a word) right.
    """

    def __init__(self, decode: Decode, context: Sequence[int] = ()) -> None:
        self._decode = decode
        self._window = list(context)
        self._known = decode(self._window) if self._window else ""
        self._context = len(self._window)

    def push(self, token: int) -> str:
        """The text that this token completed; empty while a character is incomplete."""
        self._window.append(token)
        text = self._decode(self._window)
        if text.endswith(_REPLACEMENT) or len(text) <= len(self._known):
            return ""
        new = text[len(self._known) :]
        # The tokens of this piece become the context of the next one, what was context goes.
        self._window = self._window[self._context :]
        self._context = len(self._window)
        self._known = self._decode(self._window)
        return new


class StopMatcher:
    """Holds back the end of the text while it could still become a stop text."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.stopped = False

    def push(self, text: str) -> str:
        """Text that may leave. Sets `stopped` at the first stop text; what follows it is dropped."""
        if not self._stops:
            return text
        text = self._held + text
        found = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)]
        keep = max(self._partial(text, stop) for stop in self._stops)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def finish(self) -> str:
        """What was held back, once it is certain that no stop text follows."""
        held, self._held = self._held, ""
        return held

    @staticmethod
    def _partial(text: str, stop: str) -> int:
        """Length of the longest end of `text` that is a beginning of `stop`."""
        for size in range(min(len(stop) - 1, len(text)), 0, -1):
            if text.endswith(stop[:size]):
                return size
        return 0


class TextStream:
    """Detokenizer and stop texts in a row."""

    def __init__(self, decode: Decode, stops: Sequence[str] = (), context: Sequence[int] = ()) -> None:
        self._detokenizer = Detokenizer(decode, context)
        self._matcher = StopMatcher(stops)

    @property
    def stopped(self) -> bool:
        """A stop text was found."""
        return self._matcher.stopped

    def push(self, token: int) -> str:
        """Text that became certain."""
        return self._matcher.push(self._detokenizer.push(token))

    def finish(self) -> str:
        """The rest. A character that never got its last bytes is dropped."""
        return self._matcher.finish()
