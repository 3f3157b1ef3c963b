"""What a ChatLLM client asks: bytes in, a ChatRequest or a BadRequest out (eas-protocols.md 4.1-4.3, 4.6). Pure.

Clients in the field send numbers and booleans as strings, nulls, empty strings and any Content-Type; the leniency
rules of 4.3 say what is read how. Everything else that has the wrong type is refused with the field's name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import orjson

from runtime.replica.answers import BadRequest
from runtime.replica.engines.base import Message, Prompt, Sampling

MAX_INT = 2**31 - 1
_BOM = b"\xef\xbb\xbf"
_TRUE, _FALSE = ("true", "1"), ("false", "0")
_INTEGER = re.compile(r"[+-]?\d+(\.0*)?")

Form = Literal["text", "json", "v1"]
"""How to reply: a string request gets bare text, a structured one JSON, a version-1.0 one text (4.6)."""
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A request with every default filled in. `history` and `system_prompt` None: the request has none of its own."""

    prompt: str
    form: Form
    sampling: Sampling
    stream: bool
    system_prompt: str | None = None
    history: tuple[Pair, ...] | None = None
    langchain: bool = False
    no_template: bool = False

    def within(self, system_prompt: str | None, history: tuple[Pair, ...]) -> ChatRequest:
        """The same request inside a dialogue."""
        return replace(self, system_prompt=system_prompt, history=history)


def parse(body: bytes, content_type: str, *, stream_default: bool) -> ChatRequest:
    """Decide by the bytes which kind of request it is (4.1) and normalise it. Raises BadRequest.

    Args:
        content_type: the header as sent; only `application/json` matters, and only for what does not parse.
        stream_default: what an absent `use_stream_chat` means: False over HTTP, True on a socket (4.5, 5).
    """
    body = body.removeprefix(_BOM)
    stripped = body.strip()
    document: Any = None
    if stripped.startswith(b"{"):
        try:
            document = orjson.loads(stripped)
        except orjson.JSONDecodeError as error:
            if _is_json(content_type):
                raise BadRequest(f"the body is not valid JSON: {error}") from None
    elif _is_json(content_type) and stripped and not _parses(stripped):
        raise BadRequest("the body is labelled application/json but is not valid JSON")
    if isinstance(document, dict):
        return _structured(document, stream_default)
    try:
        text = body.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise BadRequest(f"the body is not valid UTF-8 at byte {error.start}") from None
    if not text:
        raise BadRequest("the body is empty; send a prompt as text or a JSON object with `prompt`")
    return ChatRequest(prompt=text, form="text", sampling=sampling_of({}), stream=stream_default)


def prompt_of(request: ChatRequest, *, context: str = "") -> Prompt:
    """The dialogue that the model continues. `context`: passages of the knowledge base, put before the question."""
    if request.no_template:
        return Prompt(text=context + request.prompt)
    messages = [Message("system", request.system_prompt)] if request.system_prompt else []
    for question, answer in request.history or ():
        messages += [Message("user", question), Message("assistant", answer)]
    messages.append(Message("user", context + request.prompt))
    return Prompt(messages=tuple(messages))


def _structured(fields: Mapping[str, Any], stream_default: bool) -> ChatRequest:
    prompt = _text(fields, "prompt")
    form: Form = "json"
    if prompt is None and (old := _text(fields, "input_ids")) is not None:
        prompt, form = old, "v1"
    stream = _boolean(fields, "use_stream_chat")
    if stream is None:
        stream = _boolean(fields, "use_stream")
    _boolean(fields, "use_cache")
    return ChatRequest(
        prompt=prompt or "",
        form=form,
        sampling=sampling_of(fields),
        stream=stream_default if stream is None else stream,
        system_prompt=_text(fields, "system_prompt"),
        history=_history(fields),
        langchain=bool(_boolean(fields, "langchain")),
        no_template=bool(_boolean(fields, "no_template")),
    )


def sampling_of(fields: Mapping[str, Any]) -> Sampling:
    """The sampling parameters of table 4.3 with its defaults; greedy becomes temperature 0. Raises BadRequest."""
    max_tokens = _integer(fields, "max_new_tokens", at_least=1)
    if max_tokens is None:
        max_tokens = _integer(fields, "max_length", at_least=1)
    temperature = _number(fields, "temperature", at_least=0)
    top_k = _integer(fields, "top_k", at_least=-1)
    top_p = _number(fields, "top_p", at_least=0, at_most=1)
    penalty = _number(fields, "repetition_penalty", at_least=0)
    if penalty == 0:
        raise BadRequest("`repetition_penalty` has to be above 0, but is 0")
    temperature, top_p = 0.95 if temperature is None else temperature, 0.8 if top_p is None else top_p
    if _boolean(fields, "do_sample") is False or top_p == 0:
        temperature = 0.0
    return Sampling(
        max_tokens=2048 if max_tokens is None else max_tokens,
        temperature=temperature,
        top_k=30 if top_k is None else max(0, top_k),
        top_p=top_p or 1.0,
        repetition_penalty=1.0 if penalty is None else penalty,
        stop=(*_texts(fields, "stop"), *_texts(fields, "stop_sequences")),
    )


def _is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "application/json"


def _parses(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _wrong(name: str, wanted: str, value: Any) -> BadRequest:
    shown = orjson.dumps(value).decode()
    return BadRequest(f"`{name}` has to be {wanted}, but is {shown if len(shown) <= 80 else shown[:77] + '...'}")


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is None or isinstance(value, str):
        return value
    raise _wrong(name, "a string", value)


def _boolean(fields: Mapping[str, Any], name: str) -> bool | None:
    value = fields.get(name)
    if value is None or value == "" or isinstance(value, bool):
        return None if value == "" else value
    if isinstance(value, str):
        lower = value.strip().lower()
        if lower in _TRUE:
            return True
        if lower in _FALSE:
            return False
    raise _wrong(name, "true or false", value)


def _number(fields: Mapping[str, Any], name: str, *, at_least: float, at_most: float = math.inf) -> float | None:
    value = fields.get(name)
    if value is None or value == "":
        return None
    number = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
    elif isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            number = math.nan
    if not math.isfinite(number):
        raise _wrong(name, "a number", value)
    if not at_least <= number <= at_most:
        raise _wrong(
            name, f"at least {at_least:g}" if at_most == math.inf else f"in [{at_least:g}, {at_most:g}]", value
        )
    return number


def _integer(fields: Mapping[str, Any], name: str, *, at_least: int) -> int | None:
    value = fields.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str) and len(value) <= 32 and _INTEGER.fullmatch(value.strip()):
        number = int(value.strip().partition(".")[0])
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, float) and value.is_integer():
        number = int(value)
    else:
        raise _wrong(name, "an integer", value)
    if number < at_least:
        raise _wrong(name, f"at least {at_least}", value)
    return min(number, MAX_INT)


def _texts(fields: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = fields.get(name)
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(item for item in value if item)
    raise _wrong(name, "a string or a list of strings", value)


def _history(fields: Mapping[str, Any]) -> tuple[Pair, ...] | None:
    value = fields.get("history")
    if value is None or value == "":
        return None
    if not isinstance(value, list):
        raise _wrong("history", "a list of [question, answer] pairs", value)
    pairs: list[Pair] = []
    for at, item in enumerate(value):
        if item == []:
            continue
        if not (isinstance(item, list) and len(item) == 2 and isinstance(item[0], str) and isinstance(item[1], str)):
            raise _wrong(f"history[{at}]", "a [question, answer] pair of strings", item)
        pairs.append((item[0], item[1]))
    return tuple(pairs)
