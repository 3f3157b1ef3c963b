"""How many tokens an OpenAI answer holds, read from its bytes as they pass: no JSON is parsed and nothing is changed.

In JSON a string holds neither a bare quote nor a newline, so neither mark can come from a model's text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

EVENT = b"\ndata: {"
"""Begins an event of a stream, `data: [DONE]` excepted; the line end before it may be a chunk's."""
USAGE = b'"usage":{'
TAIL_BYTES = 4096
"""Of an answer that are kept: the usage comes last, in a stream if the client asked for it."""
_PROMPT = re.compile(rb'"prompt_tokens":(\d+)')
_COMPLETION = re.compile(rb'"completion_tokens":(\d+)')


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request; None: the answer does not say."""

    prompt: int | None = None
    completion: int | None = None


def usage_of(answer: bytes) -> Usage:
    """What the last `usage` of an answer, or of its end, says."""
    at = answer.rfind(USAGE)
    if at < 0:
        return Usage()
    prompt, completion = _PROMPT.search(answer, at), _COMPLETION.search(answer, at)
    return Usage(int(prompt[1]) if prompt else None, int(completion[1]) if completion else None)


class StreamMeter:
    """Counts the events of one answer, with or without its chunks' framing: vLLM cuts no event in two.

    Without a usage each event is one step, and a step is one token at least."""

    def __init__(self) -> None:
        self.events = 0
        self._tail = b"\n"

    def feed(self, data: bytes) -> int:
        """Take the next bytes; how many events begin in them."""
        joined = self._tail[1 - len(EVENT) :] + data  # too short to hold one that was counted
        found = joined.count(EVENT)
        self.events += found
        self._tail = data[-TAIL_BYTES:] if len(data) >= TAIL_BYTES else (self._tail + data)[-TAIL_BYTES:]
        return found

    def usage(self, *, chat: bool) -> Usage:
        """At its end. A chat's first event names the role and holds no token."""
        said = usage_of(self._tail)
        if said.completion is not None:
            return said
        return Usage(said.prompt, max(self.events - (1 if chat else 0), 0))
