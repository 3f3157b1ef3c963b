"""The scripted engine: answers at a chosen speed and fails on demand, so that users test and load as we do.

It needs no weights. What it does is in the version's engine arguments (`Script`), so it is part of the version's hash.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections import deque
from collections.abc import AsyncGenerator, Sequence

from pydantic import Field, ValidationError

from runtime.contract.document import Document
from runtime.contract.phases import Phase
from runtime.contract.version import VersionTemplate
from runtime.replica.engines.base import (
    Encoded,
    Engine,
    EngineFailed,
    Load,
    ModelCard,
    NotSupported,
    Prompt,
    PromptTooLong,
    Report,
    Sampling,
    Step,
    TokenLogprob,
)
from runtime.replica.engines.stopping import StopText

DEFAULT_CONTEXT = 4096
ECHOED_WORDS = 16
EXIT_CODE = 70
END_TOKEN = 0
UNKNOWN_TOKEN = 1
_VOCABULARY_LIMIT = 200_000
# A token is a word with the white space before it; long runs are cut, so that no token is large.
_TOKEN = re.compile(r"\s{0,16}\S{1,32}|\s{1,16}")


class FailStart(Document):
    """Let the start fail in a phase."""

    phase: Phase = Phase.ENGINE
    reason: str = "asked to fail"


class Script(Document):
    """The engine arguments of `engine: scripted` (camelCase in a stack file)."""

    text: str | None = None  # the answer; None: echo the last words of the prompt
    tokens: int | None = Field(default=None, ge=1)  # answer with exactly this many tokens, repeating the text
    tokens_per_second: float = Field(default=0, ge=0)  # per request; 0 = as fast as possible
    ttft_seconds: float = Field(default=0, ge=0)
    start_seconds: float = Field(default=0, ge=0)  # half in phase weights, half in phase engine
    fail_start: FailStart | None = None
    fail_after_tokens: int | None = Field(default=None, ge=0)  # every answer breaks after so many tokens
    exit_after_tokens: int | None = Field(default=None, ge=0)  # the process dies after so many tokens in all
    exit_after_seconds: float | None = Field(default=None, ge=0)  # the process dies so long after its start
    memory_mib: int = Field(default=0, ge=0)  # held while the engine lives


class ScriptedEngine(Engine):
    """Deterministic: the same prompt gives the same answer whatever the sampling parameters say."""

    def __init__(self, template: VersionTemplate) -> None:
        """Raises ValueError naming each engine argument that is not known or not valid."""
        try:
            self._script = Script.model_validate(template.engine_args)
        except ValidationError as error:
            problems = [f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors()]
            known = ", ".join(field.alias or name for name, field in Script.model_fields.items())
            raise ValueError(f"engineArgs of engine scripted: {'; '.join(problems)}. Known: {known}") from error
        name = template.model.name if template.model is not None else "scripted"
        self.card = ModelCard(name, template.context or DEFAULT_CONTEXT, tuple(template.adapters))
        self._slots = template.concurrency
        self._running = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._stopped = False
        self._used_tokens = 0  # in the context, by what runs now
        self._served = 0
        self._texts = ["", "\N{REPLACEMENT CHARACTER}"]
        self._ids: dict[str, int] = {}
        self._memory = b""

    async def start(self, report: Report) -> None:
        script = self._script
        for phase in (Phase.WEIGHTS, Phase.ENGINE):
            report(phase, "scripted")
            await asyncio.sleep(script.start_seconds / 2)
            if script.fail_start is not None and script.fail_start.phase == phase:
                raise EngineFailed(script.fail_start.reason)
        if script.fail_start is not None:
            report(script.fail_start.phase, "scripted")
            raise EngineFailed(script.fail_start.reason)
        self._memory = os.urandom(1 << 20) * script.memory_mib
        if script.exit_after_seconds is not None:
            asyncio.get_running_loop().call_later(script.exit_after_seconds, os._exit, EXIT_CODE)

    async def stop(self) -> None:
        self._stopped = True
        self._memory = b""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(EngineFailed("the engine was stopped"))

    async def encode(self, prompt: Prompt) -> Encoded:
        ids = prompt.token_ids if prompt.token_ids is not None else self._tokenize(_template(prompt))
        if len(ids) >= self.card.context:
            raise PromptTooLong(len(ids), self.card.context)
        return Encoded(tuple(ids))

    async def generate(self, encoded: Encoded, sampling: Sampling) -> AsyncGenerator[Step, None]:
        if sampling.guided is not None:
            raise NotSupported(f"engine scripted cannot do guided_{sampling.guided[0]}; engine vllm can")
        await self._take_slot()
        self._used_tokens += len(encoded.token_ids)
        try:
            async for step in self._steps(encoded, sampling):
                yield step
        finally:
            self._used_tokens -= len(encoded.token_ids)
            self._free_slot()

    def decode(self, token_ids: Sequence[int]) -> str:
        return "".join(self._texts[i] if 0 <= i < len(self._texts) else self._texts[UNKNOWN_TOKEN] for i in token_ids)

    def load(self) -> Load:
        capacity = self.card.context * self._slots
        return Load(self._running, len(self._waiting), min(1.0, self._used_tokens / capacity))

    async def _steps(self, encoded: Encoded, sampling: Sampling) -> AsyncGenerator[Step, None]:
        script, loop, stop = self._script, asyncio.get_running_loop(), StopText(sampling.stop)
        answer = self._answer(encoded)
        limit = max(1, min(sampling.max_tokens, self.card.context - len(encoded.token_ids)))
        length = script.tokens or len(answer)
        began, pace = loop.time() + script.ttft_seconds, script.tokens_per_second
        spoken: set[int] = set()
        for at in range(limit):
            due = began + (at / pace if pace else 0.0)
            await asyncio.sleep(max(0.0, due - loop.time()))
            if self._stopped:
                raise EngineFailed("the engine was stopped")
            if script.fail_after_tokens is not None and at >= script.fail_after_tokens:
                raise EngineFailed(f"asked to fail after {script.fail_after_tokens} tokens")
            self._serve_one()
            if at >= length and not sampling.ignore_eos:
                yield Step(stop.rest(), at + 1, "stop", self._logprobs(END_TOKEN, spoken, sampling))
                return
            token = answer[at % len(answer)] if answer else UNKNOWN_TOKEN
            spoken.add(token)
            logprobs = self._logprobs(token, spoken, sampling)
            text, met = stop.feed(self._texts[token])
            if met or token in sampling.stop_tokens:
                yield Step(text if met else "", at + 1, "stop", logprobs)
                return
            if at + 1 == limit:
                yield Step(text + stop.rest(), at + 1, "length", logprobs)
                return
            yield Step(text, at + 1, None, logprobs)

    def _answer(self, encoded: Encoded) -> Sequence[int]:
        if self._script.text is not None:
            return self._tokenize(self._script.text)
        words = self.decode(encoded.token_ids).rpartition("<|user|>")[2].split()
        return self._tokenize(" ".join(words[-ECHOED_WORDS:]))

    def _logprobs(self, token: int, spoken: set[int], sampling: Sampling) -> tuple[TokenLogprob, ...]:
        if sampling.logprobs is None:
            return ()
        others = [i for i in range(len(self._texts)) if i != token][: max(0, sampling.logprobs - 1)]
        ranked = [token, *others][: sampling.logprobs]
        top = tuple((i, self._texts[i], -0.1 - rank) for rank, i in enumerate(ranked))
        return (TokenLogprob(token, self._texts[token], -0.1, top),)

    def _serve_one(self) -> None:
        self._served += 1
        if self._script.exit_after_tokens is not None and self._served > self._script.exit_after_tokens:
            os._exit(EXIT_CODE)  # no clean-up: the point is a death in mid-answer

    def _tokenize(self, text: str) -> list[int]:
        return [self._token_id(piece) for piece in _TOKEN.findall(text)]

    def _token_id(self, text: str) -> int:
        known = self._ids.get(text)
        if known is not None:
            return known
        if len(self._texts) >= _VOCABULARY_LIMIT:
            return UNKNOWN_TOKEN
        self._ids[text] = len(self._texts)
        self._texts.append(text)
        return self._ids[text]

    async def _take_slot(self) -> None:
        if self._running < self._slots and not self._waiting:
            self._running += 1
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await waiter  # whoever frees a slot hands it over: `_running` stays as it is
        except BaseException:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._free_slot()
            elif waiter in self._waiting:
                self._waiting.remove(waiter)
            raise

    def _free_slot(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._running -= 1


def _template(prompt: Prompt) -> str:
    if prompt.text is not None:
        return prompt.text + prompt.resume
    turns = " ".join(f"<|{message.role}|> {message.content}" for message in prompt.messages)
    return turns + prompt.resume
