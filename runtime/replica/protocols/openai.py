"""OpenAI's API as eas-protocols.md section 8 wants it: models, chat completions, completions, health."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import orjson
from aiohttp import web

from runtime.replica import answers
from runtime.replica.call import Call
from runtime.replica.engines.base import Encoded, EngineFailed, Sampling, Step, TokenLogprob
from runtime.replica.protocols.openai_request import ChatRequest, CompletionRequest, Request, parse
from runtime.replica.replica import Replica

SSE = "text/event-stream; charset=utf-8"
DONE = b"data: [DONE]\n\n"
DEFAULT_MODEL = "default"
"""EAS clients send it when they mean the only model that is served."""

Json = dict[str, Any]


async def models(call: Call) -> web.StreamResponse:
    """GET /v1/models: what is served, adapters after their base."""
    call.protocol = "openai"
    card, created = call.replica.engine.card, int(time.time())
    names = [(card.name, None), *((adapter, card.name) for adapter in card.adapters)]
    return answers.json_answer(
        {
            "object": "list",
            "data": [
                {
                    "id": name, "object": "model", "created": created, "owned_by": "inferform",
                    "root": card.name, "parent": parent, "max_model_len": card.context,
                }
                for name, parent in names
            ],
        }
    )  # fmt: skip


async def health(call: Call) -> web.StreamResponse:
    """GET /health: a ready replica gets here."""
    call.protocol = "openai"
    return web.Response()


async def chat(call: Call) -> web.StreamResponse:
    """POST /v1/chat/completions."""
    return await _answer(call, ChatRequest, _Shape("chatcmpl", "chat.completion", _chat_choice, _chat_delta))


async def completions(call: Call) -> web.StreamResponse:
    """POST /v1/completions."""
    return await _answer(call, CompletionRequest, _Shape("cmpl", "text_completion", _text_choice, _text_delta))


def failure(status: int, kind: str, message: str) -> web.Response:
    """vLLM's flat error object."""
    body = {"object": "error", "message": message, "type": kind, "param": None, "code": status}
    answer = answers.json_answer(body, status)
    if status == 450:
        answer = web.Response(status=450, reason="Queue Full", body=answer.body, content_type="application/json")
        answer.force_close()
    return answer


class _Shape:
    """How one of the two endpoints writes its objects."""

    def __init__(
        self,
        prefix: str,
        kind: str,
        choice: Callable[[int, str, Step, list[TokenLogprob]], Json],
        delta: Callable[[Step, bool], Json],
    ) -> None:
        self.prefix, self.choice, self.delta = prefix, choice, delta
        self.whole = kind
        self.chunk = kind + ".chunk" if kind == "chat.completion" else kind

    def head(self, model: str, kind: str) -> Json:
        """The keys that every object of one answer starts with."""
        return {"id": f"{self.prefix}-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": model}


async def _answer(call: Call, kind: type[ChatRequest] | type[CompletionRequest], shape: _Shape) -> web.StreamResponse:
    call.protocol = "openai"
    try:
        request = parse(kind, call.body)
        model = model_of(call.replica, request.model)
        if model is None:
            return failure(404, "NotFoundError", f"The model `{request.model}` does not exist.")
        sampling, engine = request.sampling(), call.replica.engine
        encoded = [await engine.encode(prompt) for prompt in request.prompts()]
        if request.stream:
            return await _stream(call, request, encoded[0], sampling, shape, model)
        return await _whole(call, request, encoded, sampling, shape, model)
    except answers.BadRequest as problem:
        return failure(400, "BadRequestError", str(problem))
    except answers.ENGINE_ERRORS as problem:
        status = answers.status_of(problem)
        kind_of = {400: "BadRequestError", 450: "QueueFull"}.get(status, "InternalServerError")
        return failure(status, kind_of, str(problem))


def model_of(replica: Replica, asked: str | None) -> str | None:
    """The served name that `asked` means; None: there is no such model.

    1. Absent, or `default`: the model.
    2. Its name, an adapter's name, its source's path, or the path of a mount: itself.
    """
    card, template = replica.engine.card, replica.spec.template
    if asked is None or asked == DEFAULT_MODEL:
        return card.name
    if asked in card.adapters:
        return asked
    known = {card.name, *(mount.mount_path for mount in template.storage)}
    if template.model is not None:
        known |= {template.model.source, template.model.name}
    return card.name if asked in known else None


async def _whole(
    call: Call,
    request: ChatRequest | CompletionRequest,
    encoded: list[Encoded],
    sampling: Sampling,
    shape: _Shape,
    model: str,
) -> web.StreamResponse:
    wanted = [one for one in encoded for _ in range(request.choices)]
    # A task group: when one answer fails, its siblings are cancelled and free their places.
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_collect(call, one, sampling, at)) for at, one in enumerate(wanted)]
    except ExceptionGroup as failures:  # not `except*`: what is raised in one comes as a group again before 3.11.4
        known, others = failures.split(answers.ENGINE_ERRORS)
        if known is None or others is not None:
            raise
        raise known.exceptions[0] from None
    results = [task.result() for task in tasks]
    echo = isinstance(request, CompletionRequest) and request.echo
    choices = [
        shape.choice(at, (call.replica.engine.decode(one.token_ids) if echo else "") + text, last, logprobs)
        for at, (one, (text, last, logprobs)) in enumerate(zip(wanted, results, strict=True))
    ]
    prompt_tokens = sum(len(one.token_ids) for one in encoded)
    usage = _usage(prompt_tokens, sum(last.completion_tokens for _, last, _ in results))
    return answers.json_answer({**shape.head(model, shape.whole), "choices": choices, "usage": usage})


async def _collect(call: Call, encoded: Encoded, sampling: Sampling, at: int) -> tuple[str, Step, list[TokenLogprob]]:
    if at and sampling.seed is not None:  # equal seeds would give equal choices
        sampling = replace(sampling, seed=sampling.seed + at)
    pieces: list[str] = []
    logprobs: list[TokenLogprob] = []
    last = None
    async with aclosing(call.replica.generate(encoded, sampling, call.arrived)) as steps:
        async for step in steps:
            pieces.append(step.text)
            logprobs.extend(step.logprobs)
            last = step
    if last is None:
        raise EngineFailed("the engine ended an answer without a last step")
    return "".join(pieces), last, logprobs


async def _stream(
    call: Call,
    request: ChatRequest | CompletionRequest,
    encoded: Encoded,
    sampling: Sampling,
    shape: _Shape,
    model: str,
) -> web.StreamResponse:
    head = shape.head(model, shape.chunk)
    no_usage = {"usage": None} if request.include_usage else {}
    async with aclosing(call.replica.generate(encoded, sampling, call.arrived)) as steps:
        step = await anext(steps)  # before the headers: what is refused still gets its status
        response = await call.open_stream(SSE)
        before = [
            _event({**head, "choices": [opening], **no_usage}) for opening in _openings(call, request, encoded, shape)
        ]
        last = step
        try:
            while True:
                last = step
                if step.text or step.finish_reason or step.logprobs:
                    before.append(
                        _event({**head, "choices": [shape.delta(step, sampling.logprobs is not None)], **no_usage})
                    )
                    await response.write(b"".join(before))
                    before.clear()
                if step.finish_reason is not None:
                    break
                step = await anext(steps)
        except answers.ENGINE_ERRORS as problem:
            body = {
                "object": "error",
                "message": str(problem),
                "type": "InternalServerError",
                "param": None,
                "code": 500,
            }
            call.status = 500
            await response.write(b"".join(before) + _event({"error": body}) + DONE)
            await response.write_eof()
            return response
    after = b""
    if request.include_usage:
        usage = _usage(len(encoded.token_ids), last.completion_tokens)
        after = _event({**head, "choices": [], "usage": usage})
    await response.write(after + DONE)
    await response.write_eof()
    return response


def _openings(call: Call, request: Request, encoded: Encoded, shape: _Shape) -> list[Json]:
    """Choices of the chunks before the first token: the role of a chat, the prompt when it is echoed."""
    if isinstance(request, ChatRequest):
        return [{"index": 0, "delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None}]
    if isinstance(request, CompletionRequest) and request.echo:
        return [
            {"index": 0, "text": call.replica.engine.decode(encoded.token_ids), "logprobs": None, "finish_reason": None}
        ]
    return []


def _event(data: Json) -> bytes:
    return b"data: %b\n\n" % orjson.dumps(data)


def _usage(prompt: int, completion: int) -> Json:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _chat_choice(at: int, text: str, last: Step, logprobs: list[TokenLogprob]) -> Json:
    return {
        "index": at,
        "message": {"role": "assistant", "content": text},
        "logprobs": _chat_logprobs(logprobs) if logprobs else None,
        "finish_reason": last.finish_reason,
    }


def _chat_delta(step: Step, with_logprobs: bool) -> Json:
    return {
        "index": 0,
        "delta": {"content": step.text},
        "logprobs": _chat_logprobs(step.logprobs) if with_logprobs else None,
        "finish_reason": step.finish_reason,
    }


def _text_choice(at: int, text: str, last: Step, logprobs: list[TokenLogprob]) -> Json:
    return {
        "index": at,
        "text": text,
        "logprobs": _text_logprobs(logprobs) if logprobs else None,
        "finish_reason": last.finish_reason,
    }


def _text_delta(step: Step, with_logprobs: bool) -> Json:
    return {
        "index": 0,
        "text": step.text,
        "logprobs": _text_logprobs(step.logprobs) if with_logprobs else None,
        "finish_reason": step.finish_reason,
    }


def _chat_logprobs(entries: list[TokenLogprob] | tuple[TokenLogprob, ...]) -> Json:
    return {
        "content": [
            {
                **_token(entry.token, entry.logprob),
                "top_logprobs": [_token(text, logprob) for _, text, logprob in entry.top],
            }
            for entry in entries
        ]
    }


def _token(text: str, logprob: float) -> Json:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode())}


def _text_logprobs(entries: list[TokenLogprob] | tuple[TokenLogprob, ...]) -> Json:
    offsets, at = [], 0
    for entry in entries:
        offsets.append(at)
        at += len(entry.token)
    return {
        "tokens": [entry.token for entry in entries],
        "token_logprobs": [entry.logprob for entry in entries],
        "top_logprobs": [{text: logprob for _, text, logprob in entry.top} for entry in entries],
        "text_offset": offsets,
    }
