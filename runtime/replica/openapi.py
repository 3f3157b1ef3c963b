"""What a service speaks, as an OpenAPI 3.1 document per method: `python -m runtime.replica.openapi METHOD`.

Request bodies come from the models that parse them. A WebSocket on the service's URL cannot be described here.
The committed copies are docs/openapi/METHOD.json.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from runtime.contract.names import DOCUMENT_SUFFIXES
from runtime.contract.version import Method
from runtime.replica.protocols import bladellm_request, openai_request
from runtime.replica.protocols.openapi_shapes import CHATLLM_REQUEST, SHAPES

Json = dict[str, Any]
FOLDER = Path(__file__).resolve().parents[2] / "docs" / "openapi"
METHODS = (Method.STANDARD, Method.VLLM, Method.BLADELLM)
TITLES = {
    Method.STANDARD: "ChatLLM at the root, OpenAI's API under /v1",
    Method.VLLM: "vLLM's OpenAI API under /v1, ChatLLM at the root",
    Method.BLADELLM: "BladeLLM's API under /v1, ChatLLM at the root",
}
CODES = {
    "400": "The request cannot be understood",
    "401": "No valid token",
    "404": "No such path, model or document",
    "408": "It took longer than limits.requestSeconds",
    "409": "The document is declared in the stack file",
    "413": "The body exceeds limits.bodyMiB",
    "429": "Over the service's rate or concurrency",
    "450": "Queue Full: as many requests wait as the replica may queue",
    "500": "The engine failed",
    "501": "The replica cannot index documents",
    "502": "The replica broke off",
    "503": "No replica is ready",
    "504": "The replica did not answer",
}
EVERYWHERE = ("401", "408", "413", "429", "450", "502", "503", "504")


def document(method: Method) -> Json:
    """The whole document of one method, as plain data."""
    models: list[type[BaseModel]] = [] if method is Method.VLLM else [*_requests(method)]
    template = "#/components/schemas/{model}"
    _, found = models_json_schema([(model, "validation") for model in models], ref_template=template)
    schemas = {**found.get("$defs", {}), "ChatLlmRequest": CHATLLM_REQUEST, **SHAPES}
    paths = {**_chatllm(), **_knowledge(), **(_bladellm() if method is Method.BLADELLM else _openai(method))}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Inferform, method {method.value}",
            "version": "1",
            "description": f"{TITLES[method]}. A WebSocket on the service's URL speaks ChatLLM too.",
        },
        "servers": [
            {
                "url": "http://127.0.0.1:8070/api/predict/{service}",
                "variables": {"service": {"default": "chat", "description": "The service's name in the stack file."}},
            }
        ],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "The service's token: alone, as `Bearer TOKEN`, or as `EAS SIGNATURE`.",
                }
            },
            "responses": {code: _refusal(code, {}) for code in CODES},
            "schemas": schemas,
        },
    }


def document_text(method: Method) -> str:
    """The document as JSON text, as the committed copies are."""
    return json.dumps(document(method), indent=1) + "\n"


def _requests(method: Method) -> tuple[type[BaseModel], type[BaseModel]]:
    module: Any = bladellm_request if method is Method.BLADELLM else openai_request
    return module.ChatRequest, module.CompletionRequest


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _body(content: Mapping[str, Json]) -> Json:
    return {"required": True, "content": _content(content)}


def _text() -> Json:
    return {"type": "string"}


def _event() -> Json:
    """One server-sent event: OpenAPI 3.1 describes a stream of them by the fields of each."""
    data = {"type": "string", "description": "A JSON object of the answer, or [DONE] at the end."}
    return {"type": "object", "properties": {"data": data}, "required": ["data"]}


def _answers(good: Mapping[str, Json], *, error: Mapping[str, Json] | None = None, more: tuple[str, ...] = ()) -> Json:
    """`good`: content types of the 200; `error`: of this protocol's own refusals (400, 404, 500)."""
    answers: Json = {"200": {"description": "The answer", "content": _content(good)}}
    for code in sorted({*EVERYWHERE, *more}):
        own = error is not None and code in ("400", "404", "500")
        answers[code] = _refusal(code, error or {}) if own else {"$ref": f"#/components/responses/{code}"}
    return answers


def _refusal(code: str, own: Mapping[str, Json]) -> Json:
    shared = {"application/json": _ref("Error"), "text/plain": _text()}
    return {"description": CODES[code], "content": _content({**shared, **own})}


def _content(types: Mapping[str, Json]) -> Json:
    return {kind: {"schema": schema} for kind, schema in types.items()}


def _chatllm() -> Json:
    ready = {"application/json": {"type": "object"}, "text/html": _text()}
    reply = {"text/plain": _text(), "application/json": _ref("ChatLlmReply")}
    return {
        "/": {
            "get": {
                "summary": "Is the service ready? The chat page, or a short status",
                "operationId": "root",
                "security": [],
                "responses": _answers(ready),
            },
            "post": {
                "summary": "ChatLLM",
                "description": "A JSON object is a structured request, anything else a prompt. "
                "A stream is a sequence of records, each ended by a NUL.",
                "operationId": "chatllm",
                "requestBody": _body({"application/json": _ref("ChatLlmRequest"), "text/plain": _text()}),
                "responses": _answers(reply, more=("400", "500")),
            },
        }
    }


def _knowledge() -> Json:
    file = {"type": "string", "contentMediaType": "application/octet-stream"}
    form = {"type": "object", "required": ["file"], "properties": {"file": file}}
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    done = {"application/json": _ref("Done")}
    return {
        "/uploadfile": {
            "post": {
                "summary": f"Add a document ({', '.join(DOCUMENT_SUFFIXES)}) to the knowledge base",
                "operationId": "upload",
                "requestBody": _body({"multipart/form-data": form}),
                "responses": _answers(done, more=("400", "501")),
            }
        },
        "/documents": {
            "get": {
                "summary": "The documents of the knowledge base",
                "operationId": "documents",
                "responses": _answers({"application/json": {"type": "array", "items": _ref("Document")}}),
            }
        },
        "/documents/{name}": {
            "delete": {
                "summary": "Remove an uploaded document",
                "operationId": "removeDocument",
                "parameters": [name],
                "responses": _answers(done, more=("404", "409")),
            }
        },
    }


def _openai(method: Method) -> Json:
    """Of method vllm the bodies are vLLM's own business: whatever it takes is passed on."""
    own = {"application/json": {"anyOf": [_ref("Error"), _ref("OpenAiError")]}}

    def post(summary: str, name: str, model: str, reply: str) -> Json:
        free: Json = {"type": "object", "description": "As vLLM's own API has it; passed on byte for byte."}
        content = {"application/json": _ref(reply), "text/event-stream": _event()}
        return {
            "post": {
                "summary": summary,
                "operationId": name,
                "requestBody": _body({"application/json": free if method is Method.VLLM else _ref(model)}),
                "responses": _answers(content, error=own, more=("400", "404", "500")),
            }
        }

    return {
        "/v1/models": {
            "get": {
                "summary": "The model and its adapters",
                "operationId": "models",
                "responses": _answers({"application/json": _ref("Models")}),
            }
        },
        "/v1/chat/completions": post("OpenAI's chat", "chat", "ChatRequest", "Completion"),
        "/v1/completions": post("OpenAI's completions", "completions", "CompletionRequest", "Completion"),
        "/health": {"get": {"summary": "A ready replica: 200", "operationId": "health", "responses": _answers({})}},
    }


def _bladellm() -> Json:
    own = {"application/json": {"anyOf": [_ref("Error"), _ref("BladeLlmReply")]}}
    text = {"text/plain": _text()}

    def post(summary: str, name: str, model: str) -> Json:
        content = {"application/json": _ref("BladeLlmReply"), "text/event-stream": _event()}
        return {
            "post": {
                "summary": summary,
                "operationId": name,
                "parameters": [{"name": "X-DashScope-RequestId", "in": "header", "schema": {"type": "string"}}],
                "requestBody": _body({"application/json": _ref(model)}),
                "responses": _answers(content, error=own, more=("400", "500")),
            }
        }

    paths: Json = {
        "/v1/chat/completions": post("BladeLLM's chat", "chat", "ChatRequest"),
        "/v1/completions": post("BladeLLM's completions", "completions", "CompletionRequest"),
        "/generate_benchmark": {
            "post": {
                "summary": "A chat with the time of each token",
                "operationId": "benchmark",
                "requestBody": _body({"application/json": _ref("ChatRequest")}),
                "responses": _answers({"application/json": {"type": "object"}}, error=text, more=("400", "500")),
            }
        },
    }
    for path, summary in (
        ("/metric", "Metrics as text"),
        ("/is_ready", "`True`"),
        ("/start_profiler", "Accepted, no effect"),
        ("/stop_profiler", "Accepted, no effect"),
    ):
        paths[path] = {"get": {"summary": summary, "operationId": path[1:], "responses": _answers(text)}}
    return paths


def main(arguments: list[str]) -> int:
    """Print one document, or write all of them (`--write`)."""
    if arguments == ["--write"]:
        FOLDER.mkdir(exist_ok=True)
        for method in METHODS:
            (FOLDER / f"{method.value}.json").write_text(document_text(method))
        return 0
    if len(arguments) != 1 or arguments[0] not in METHODS:
        print(f"usage: python -m runtime.replica.openapi {'|'.join(METHODS)}, or --write", file=sys.stderr)
        return 2
    print(document_text(Method(arguments[0])), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
