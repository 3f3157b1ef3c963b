"""ChatLLM over HTTP: eas-protocols.md section 4, byte for byte."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import orjson
from aiohttp import web

from runtime.contract.replica import Wire
from runtime.replica import answers
from runtime.replica.call import Call
from runtime.replica.engines.base import Encoded, EngineFailed, Step
from runtime.replica.protocols.chatllm_request import ChatRequest, Pair, parse
from runtime.replica.protocols.passages import Grounded, encode
from runtime.replica.replica import Replica

TEXT = "text/plain; charset=utf-8"


async def answer(call: Call) -> web.StreamResponse:
    """POST on the service's URL."""
    call.protocol = "chatllm"
    try:
        request = parse(call.body, call.content_type, stream_default=False)
    except answers.BadRequest as problem:
        return answers.bad_request(str(problem))
    history = request.history or ()
    if not request.prompt:
        return await _nothing(call, request, history)
    try:
        grounded = await encode(call.replica, request)
        async with aclosing(call.replica.generate(grounded.encoded, request.sampling, call.arrived)) as steps:
            if request.form == "json" and request.stream:
                return await _stream(call, request, history, grounded, steps)
            text, last = await collect(steps)
    except answers.ENGINE_ERRORS as problem:
        if call.streaming is not None:
            call.break_off()
            return call.streaming
        return answers.engine_error(problem)
    if request.form == "json":
        reply = Record(history, request.prompt, grounded).whole(text, usage(grounded.encoded, last))
        return web.Response(body=reply, content_type="application/json")
    return _bare(request, text, call.settings.wire)


async def collect(steps: AsyncGenerator[Step, None]) -> tuple[str, Step]:
    """The whole text and the last step. Raises what the engine raises."""
    pieces, last = [], None
    async for step in steps:
        pieces.append(step.text)
        last = step
    if last is None:
        raise EngineFailed("the engine ended an answer without a last step")
    return "".join(pieces), last


def usage(encoded: Encoded, last: Step) -> dict[str, int]:
    """The `usage` object of the last record."""
    prompt, completion = len(encoded.token_ids), last.completion_tokens
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


class Record:
    """Builds the JSON records of one answer; what does not change from record to record is encoded once.

    Layout and spaces are those of the published bytes: `{"response": "Ott", "history": [["Q", "Ott"]]}`.
    """

    def __init__(self, history: tuple[Pair, ...], prompt: str, grounded: Grounded) -> None:
        pairs = b"".join(b"[%b, %b], " % (orjson.dumps(q), orjson.dumps(a)) for q, a in history)
        self._before = b', "history": [%b[%b, "' % (pairs, orjson.dumps(prompt))
        self._sources = b"" if grounded.sources is None else b', "sources": ' + orjson.dumps(grounded.sources)
        self._text = b""  # the answer so far, escaped, without quotes

    def add(self, text: str, *, delta: bool) -> bytes:
        """The record after one more piece of the answer."""
        piece = orjson.dumps(text)[1:-1]
        self._text += piece
        return b'{"response": "%b"%b%b"]]}' % (piece if delta else self._text, self._before, self._text)

    def last(self, text: str, counts: dict[str, int], *, delta: bool) -> bytes:
        """The last record: with usage and, with a knowledge base, the sources."""
        return b'%b, "usage": %b%b}' % (self.add(text, delta=delta)[:-1], orjson.dumps(counts), self._sources)

    def whole(self, text: str, counts: dict[str, int]) -> bytes:
        """The one object of a reply that is not streamed."""
        return self.last(text, counts, delta=False)


async def _stream(
    call: Call,
    request: ChatRequest,
    history: tuple[Pair, ...],
    grounded: Grounded,
    steps: AsyncGenerator[Step, None],
) -> web.StreamResponse:
    """Section 4.5: each record followed by one NUL, one flush each."""
    delta = call.settings.wire.stream_mode == "delta"
    record = Record(history, request.prompt, grounded)
    # The first step comes before the headers: a full queue or a broken engine still gets its status.
    step = await anext(steps, None)
    response = await call.open_stream(TEXT)
    while step is not None:
        if step.finish_reason is not None:
            await response.write(record.last(step.text, usage(grounded.encoded, step), delta=delta) + b"\0")
            break
        if step.text:
            await response.write(record.add(step.text, delta=delta) + b"\0")
        step = await anext(steps, None)
    await response.write_eof()
    return response


async def _nothing(call: Call, request: ChatRequest, history: tuple[Pair, ...]) -> web.StreamResponse:
    """An empty prompt is legal: an empty answer, the history as given."""
    if request.form != "json":
        return _bare(request, "", call.settings.wire)
    body = b'{"response": "", "history": %b}' % orjson.dumps(history)
    if not request.stream:
        return web.Response(body=body, content_type="application/json")
    response = await call.open_stream(TEXT)
    await response.write(body + b"\0")
    await response.write_eof()
    return response


def _bare(request: ChatRequest, text: str, wire: Wire) -> web.Response:
    """The answer and nothing else: string requests, and version 1.0 (4.6)."""
    if request.form == "v1" and wire.v1_reply == "json_string":
        return web.Response(body=orjson.dumps(text), content_type="application/json")
    return web.Response(body=text.encode(), headers={"Content-Type": TEXT})


async def status(replica: Replica) -> web.Response:
    """GET on the root without a page: short JSON, section 3.1."""
    card = replica.engine.card
    return answers.json_answer(
        {"service": replica.spec.service, "status": "ready", "model": card.name, "context": card.context}
    )
