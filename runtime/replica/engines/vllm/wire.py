"""Between the engine interface and vLLM's /v1/completions: request bodies and streamed chunks, pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from runtime.replica.engines.base import Encoded, FinishReason, Sampling, Step, TokenLogprob

TOKEN_MARK = "token_id:"
"""How vLLM writes a token when `return_tokens_as_token_ids` is on: the id is exact where a text would not be."""
TokenText = Callable[[int], str]


def body_of(model: str, encoded: Encoded, sampling: Sampling, *, context: int) -> dict[str, Any]:
    """The JSON body of one streamed completion."""
    body: dict[str, Any] = {
        "model": model,
        "prompt": list(encoded.token_ids),
        "stream": True,
        "stream_options": {"include_usage": True, "continuous_usage_stats": True},
        "max_tokens": max(1, min(sampling.max_tokens, context - len(encoded.token_ids))),
        "temperature": sampling.temperature,
        "top_p": sampling.top_p or 1.0,
        "top_k": sampling.top_k,
        "repetition_penalty": sampling.repetition_penalty,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "ignore_eos": sampling.ignore_eos,
    }
    if sampling.seed is not None:
        body["seed"] = sampling.seed
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if sampling.stop_tokens:
        body["stop_token_ids"] = list(sampling.stop_tokens)
    if sampling.logprobs is not None:
        body |= {"logprobs": sampling.logprobs, "return_tokens_as_token_ids": True}
    if sampling.guided is not None:
        kind, text = sampling.guided
        body["structured_outputs"] = {kind: json.loads(text) if kind == "choice" else text}
    return body


def step_of(chunk: dict[str, Any], token_text: TokenText) -> Step | None:
    """A chunk as a step; None for one without a choice (the closing usage)."""
    if not chunk.get("choices"):
        return None
    choice = chunk["choices"][0]
    reason: FinishReason | None = None
    if choice.get("finish_reason"):
        reason = "length" if choice["finish_reason"] == "length" else "stop"
    count = int((chunk.get("usage") or {}).get("completion_tokens") or 0)
    return Step(choice.get("text") or "", count, reason, _logprobs(choice.get("logprobs"), token_text))


def _logprobs(found: dict[str, Any] | None, token_text: TokenText) -> tuple[TokenLogprob, ...]:
    if not found:
        return ()
    tops: Sequence[dict[str, float] | None] = found.get("top_logprobs") or [None] * len(found["tokens"])
    return tuple(
        TokenLogprob(
            _id(token),
            token_text(_id(token)),
            logprob,
            tuple((_id(other), token_text(_id(other)), value) for other, value in (top or {}).items()),
        )
        for token, logprob, top in zip(found["tokens"], found["token_logprobs"], tops, strict=True)
    )


def _id(token: str) -> int:
    return int(token.removeprefix(TOKEN_MARK))
