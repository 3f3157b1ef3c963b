"""Tokens to text while they arrive: no half characters, and no stop text or beginning of one, ever leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from runtime.replica.engines.stopping import StopText

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
        # A character whose last bytes come with the first token belongs to what is new.
        self._known = decode(self._window).rstrip(_REPLACEMENT) if self._window else ""
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


class TextStream:
    """Detokenizer and stop texts in a row."""

    def __init__(self, decode: Decode, stops: Sequence[str] = (), context: Sequence[int] = ()) -> None:
        self._detokenizer = Detokenizer(decode, context)
        self._stop = StopText(stops)
        self.stopped = False  # a stop text was met

    def push(self, token: int) -> str:
        """Text that became certain."""
        text, self.stopped = self._stop.feed(self._detokenizer.push(token))
        return text

    def finish(self) -> str:
        """The rest. A character that never got its last bytes is dropped."""
        return self._stop.rest()
