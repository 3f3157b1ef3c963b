"""The BladeLLM-style API: eas-protocols.md section 7. A delta per token; usage and `error_info` in every object."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import orjson
from aiohttp import web

from runtime.replica import answers
from runtime.replica.call import Call, Handler
from runtime.replica.engines.base import EngineFailed, NotSupported, PromptTooLong, QueueFull, Step, TokenLogprob
from runtime.replica.protocols.bladellm_request import ChatRequest, CompletionRequest, parse

REQUEST_ID = "X-DashScope-RequestId"
SSE = "text/event-stream"
DONE = b"data: [DONE]\n\n"
ONE_COMPLETION = "Do no support to generate multiple completions."
"""As the real server writes it."""

REFUSALS = (answers.BadRequest, PromptTooLong, NotSupported, QueueFull)

Json = dict[str, Any]


def routes() -> dict[str, dict[str, Handler]]:
    """Section 7.1. `/v1/models` is not served."""
    return {
        "/v1/completions": {"POST": completions},
        "/v1/chat/completions": {"POST": chat},
        "/generate_benchmark": {"POST": benchmark},
        "/metric": {"GET": metric},
        "/is_ready": {"GET": is_ready},
        "/start_profiler": {"GET": profiler},
        "/stop_profiler": {"GET": profiler},
    }


async def completions(call: Call) -> web.StreamResponse:
    """POST /v1/completions."""
    return await _answer(call, CompletionRequest)


async def chat(call: Call) -> web.StreamResponse:
    """POST /v1/chat/completions."""
    return await _answer(call, ChatRequest)


async def benchmark(call: Call) -> web.StreamResponse:
    """POST /generate_benchmark: a chat, never streamed, with the time of each token as [Unix seconds, milliseconds]."""
    call.protocol = "bladellm"
    try:
        request = parse(ChatRequest, call.body)
        encoded = await call.replica.engine.encode(request.to_prompt())
        pieces, latencies, before, tokens = [], [], time.perf_counter(), 0
        async with aclosing(call.replica.generate(encoded, request.sampling(), call.arrived)) as steps:
            async for step in steps:
                now = time.perf_counter()
                latencies.append([time.time(), (now - before) * 1000])
                before, tokens = now, step.completion_tokens
                pieces.append(step.text)
    except REFUSALS as problem:
        return _refused(problem)
    except EngineFailed as problem:
        return web.Response(status=500, text=str(problem))
    # The second message is what the answer goes on from, as the real server has it.
    second = request.messages[1].message(1).content if len(request.messages) > 1 else ""
    return answers.json_answer(
        {
            "request_id": call.request.headers.get(REQUEST_ID) or str(uuid.uuid4()),
            "generated_text": second + "".join(pieces),
            "num_output_tokens_cf": tokens,
            "per_token_latency": latencies,
        }
    )


def _refused(problem: Exception) -> web.Response:
    """What is wrong with the request, or with its moment, in this protocol's shape."""
    if isinstance(problem, QueueFull):
        return answers.engine_error(problem)
    if isinstance(problem, answers.BadRequest):
        return web.Response(status=400, text=str(problem))
    return web.Response(status=400, text=f"Invalid request: {problem}")


async def metric(call: Call) -> web.StreamResponse:
    """GET /metric: the metrics as text."""
    text = call.replica.metrics.text(call.replica.load())
    return web.Response(body=text, headers={"Content-Type": "text/plain; charset=utf-8"})


async def is_ready(call: Call) -> web.StreamResponse:
    """GET /is_ready: a ready replica gets here."""
    return web.Response(text="True")


async def profiler(call: Call) -> web.StreamResponse:
    """GET /start_profiler and /stop_profiler: accepted, no effect."""
    return web.Response(text="OK")


async def _answer(call: Call, kind: type[CompletionRequest] | type[ChatRequest]) -> web.StreamResponse:
    call.protocol = "bladellm"
    try:
        request = parse(kind, call.body)
        if (request.n or 1) > 1 and not request.stream:
            return web.Response(status=500, text=ONE_COMPLETION)
        encoded = await call.replica.engine.encode(request.to_prompt())
        echo = request.prompt if isinstance(request, CompletionRequest) and request.echo else ""
        writer = _Writer(call, request, len(encoded.token_ids))
        async with aclosing(call.replica.generate(encoded, request.sampling(), call.arrived)) as steps:
            if request.stream:
                return await _stream(call, writer, steps, echo)
            return await _whole(writer, steps, echo)
    except REFUSALS as problem:
        return _refused(problem)


async def _whole(writer: _Writer, steps: AsyncGenerator[Step, None], echo: str) -> web.StreamResponse:
    pieces, logprobs, last = [echo], [], None
    try:
        async for step in steps:
            pieces.append(step.text)
            logprobs += [writer.entry(one, one.token, special=_is_end(step)) for one in step.logprobs]
            last = step
        if last is None:
            raise EngineFailed("the engine ended an answer without a last step")
    except EngineFailed as problem:
        return answers.json_answer(writer.failure(str(problem), stream=False), 500)
    return answers.json_answer(writer.whole("".join(pieces), last, logprobs))


async def _stream(call: Call, writer: _Writer, steps: AsyncGenerator[Step, None], echo: str) -> web.StreamResponse:
    try:
        step = await anext(steps)  # before the headers: a full queue still gets its status
    except EngineFailed as problem:
        response = await call.open_stream(SSE)
        await response.write(_event(writer.failure(str(problem), stream=True)) + DONE)
        await response.write_eof()
        return response
    response = await call.open_stream(SSE)
    first = True
    try:
        while True:
            event = _event(writer.chunk(echo + step.text if first else step.text, step, first=first))
            if step.finish_reason is not None:
                await response.write(event + DONE)
                break
            await response.write(event)
            first = False
            step = await anext(steps)
    except EngineFailed as problem:
        call.status = 500
        await response.write(_event(writer.failure(str(problem), stream=True)) + DONE)
    await response.write_eof()
    return response


class _Writer:
    """Writes the objects of one answer; keys in the order of the published samples."""

    def __init__(self, call: Call, request: CompletionRequest | ChatRequest, prompt_tokens: int) -> None:
        self._id = call.request.headers.get(REQUEST_ID) or str(uuid.uuid4())
        self._request, self._prompt_tokens, self._tokens = request, prompt_tokens, 0
        self._chat = isinstance(request, ChatRequest)

    def chunk(self, text: str, step: Step, *, first: bool) -> Json:
        """One token of a stream: a delta, a running usage."""
        self._tokens = step.completion_tokens
        entries = [self.entry(one, text, special=_is_end(step)) for one in step.logprobs]
        choice = self._choice(step.finish_reason or "", entries)
        if self._chat:
            choice["delta"] = {"role": "assistant", "content": text} if first else {"content": text}
        else:
            choice["text"] = text
        return self._object([choice], stream=True)

    def whole(self, text: str, last: Step, entries: list[Json]) -> Json:
        """The one object of an answer that is not streamed."""
        self._tokens = last.completion_tokens
        choice = self._choice(last.finish_reason or "", entries)
        if self._chat:
            choice["message"] = {"role": "assistant", "content": text}
        else:
            choice["text"] = text
        return self._object([choice], stream=False)

    def failure(self, message: str, *, stream: bool) -> Json:
        """The same object with `error_info` set."""
        choice = self._choice("", [])
        if not self._chat:
            choice["text"] = ""
        elif stream:
            choice["delta"] = {"content": ""}
        else:
            choice["message"] = {"role": "assistant", "content": ""}
        return self._object([choice], stream=stream, error_info={"code": 500, "message": message})

    def entry(self, one: TokenLogprob, text: str, *, special: bool) -> Json:
        """One token's log-probability; `text` repeats `token`, as some readers use that name."""
        entry = {**_named(one.token_id, text, one.logprob, special=special), "top_logprobs": None}
        if self._request.top_logprobs:
            entry["top_logprobs"] = [_named(i, token, logprob, special=False) for i, token, logprob in one.top]
        return entry

    def _choice(self, finish_reason: str, entries: list[Json]) -> Json:
        logprobs = {"content": entries} if self._request.wants_logprobs else None
        return {"finish_reason": finish_reason, "index": 0, "logprobs": logprobs}

    def _object(self, choices: list[Json], *, stream: bool, error_info: Json | None = None) -> Json:
        kind = ("chat.completion.chunk" if stream else "chat.completion") if self._chat else "text_completion"
        usage = {
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": self._tokens,
            "total_tokens": self._prompt_tokens + self._tokens,
        }
        return {
            "id": self._id, "model": self._request.model or "", "choices": choices, "object": kind, "usage": usage,
            "error_info": error_info,
        }  # fmt: skip


def _named(token_id: int, text: str, logprob: float, *, special: bool) -> Json:
    raw = list(text.encode())
    return {"id": token_id, "token": text, "text": text, "logprob": logprob, "is_special": special, "bytes": raw}


def _is_end(step: Step) -> bool:
    return step.finish_reason == "stop" and not step.text


def _event(data: Json) -> bytes:
    return b"data: %b\n\n" % orjson.dumps(data)
