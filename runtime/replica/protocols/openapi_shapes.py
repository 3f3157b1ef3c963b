"""JSON Schemas of what no pydantic model parses: ChatLLM's lenient request, and the answers."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def _number(kind: str, default: float | int, **bounds: float) -> Json:
    """Numbers may come as text; null and "" mean absent."""
    lenient: list[Json] = [{"type": kind, **bounds}, {"type": "null"}, {"const": ""}]
    return {"anyOf": lenient, "default": default, "description": "Also as text."}


def _boolean(default: bool) -> Json:
    words = ["true", "false", "True", "False", "1", "0", ""]
    return {"anyOf": [{"type": "boolean"}, {"type": "null"}, {"enum": words}], "default": default}


_TEXT: Json = {"type": ["string", "null"]}
_TEXTS: Json = {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}, {"type": "null"}]}
_PAIRS: Json = {
    "type": "array",
    "items": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2},
}

CHATLLM_REQUEST: Json = {
    "type": "object",
    "title": "ChatLlmRequest",
    "properties": {
        "prompt": _TEXT,
        "system_prompt": _TEXT,
        "history": {"anyOf": [_PAIRS, {"type": "null"}]},
        "max_new_tokens": _number("integer", 2048, minimum=1),
        "temperature": _number("number", 0.95, minimum=0),
        "top_k": _number("integer", 30, minimum=-1),
        "top_p": _number("number", 0.8, minimum=0, maximum=1),
        "repetition_penalty": _number("number", 1.0, exclusiveMinimum=0),
        "do_sample": _boolean(True),
        "use_cache": _boolean(True),
        "use_stream_chat": _boolean(False),
        "use_stream": _boolean(False),
        "langchain": _boolean(False),
        "no_template": _boolean(False),
        "stop": _TEXTS,
        "stop_sequences": _TEXTS,
        "input_ids": {**_TEXT, "description": "Version 1.0: the prompt as text; the answer is bare text."},
        "max_length": _number("integer", 2048, minimum=1),
    },
    "additionalProperties": True,
}


def _object(required: Json, optional: Json | None = None) -> Json:
    return {"type": "object", "required": [*required], "properties": {**required, **(optional or {})}}


_INTEGER: Json = {"type": "integer", "minimum": 0}
_STRING: Json = {"type": "string"}
_CHOICES: Json = {"type": "array", "items": {"type": "object"}}
_USAGE: Json = _object({"prompt_tokens": _INTEGER, "completion_tokens": _INTEGER, "total_tokens": _INTEGER})
_SOURCE: Json = _object({"document": _STRING, "passage": _STRING, "score": {"type": "number"}})
_MODEL: Json = _object({"id": _STRING, "object": {"const": "model"}})

SHAPES: dict[str, Json] = {
    "Error": _object({"code": _STRING, "message": _STRING}, {"detail": _STRING})
    | {"anyOf": [{"required": ["code", "message"]}, {"required": ["detail"]}], "required": []},
    "OpenAiError": _object(
        {"object": {"const": "error"}, "message": _STRING, "type": _STRING, "code": {"type": "integer"}},
        {"param": {}},
    ),
    "Done": _object({"response": {"const": "success"}}),
    "Document": _object(
        {"name": _STRING, "bytes": _INTEGER, "passages": _INTEGER, "origin": {"enum": ["declared", "uploaded"]}}
    ),
    "ChatLlmReply": {
        "description": "An object; of version 1.0 with wire.v1Reply json_string a string.",
        "anyOf": [
            _object(
                {"response": _STRING, "history": _PAIRS},
                {"usage": _USAGE, "sources": {"type": "array", "items": _SOURCE}},
            ),
            _STRING,
        ],
    },
    "Models": _object({"object": {"const": "list"}, "data": {"type": "array", "minItems": 1, "items": _MODEL}}),
    "Completion": _object(
        {"id": _STRING, "object": _STRING, "created": _INTEGER, "model": _STRING, "choices": _CHOICES},
        {"usage": _USAGE},
    ),
    "BladeLlmReply": _object(
        {
            "id": _STRING,
            "model": _STRING,
            "choices": {**_CHOICES, "minItems": 1},
            "object": {"enum": ["text_completion", "chat.completion"]},
            "usage": _USAGE,
            "error_info": {"anyOf": [{"type": "null"}, _object({"code": {"type": "integer"}, "message": _STRING})]},
        }
    ),
}
