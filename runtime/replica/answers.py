"""Answers that every protocol of a replica shares: the error bodies of eas-protocols.md section 3.2."""

from __future__ import annotations

from collections.abc import Iterable

import orjson
from aiohttp import web

from runtime.replica.engines.base import EngineFailed, NotSupported, PromptTooLong, QueueFull

NOT_READY = b"no healthy upstream"
"""Section 3.1: exactly these 19 bytes say that a client should wait."""

ENGINE_ERRORS = (PromptTooLong, NotSupported, QueueFull, EngineFailed)
"""What an engine may raise for one request."""


class BadRequest(ValueError):
    """The request cannot be understood; the text is for the client and names the field."""


def json_answer(data: object, status: int = 200) -> web.Response:
    """A JSON document."""
    return web.Response(status=status, body=orjson.dumps(data), content_type="application/json")


def error(status: int, code: str, message: str, *, reason: str | None = None, close: bool = False) -> web.Response:
    """`{"code", "message"}` with a status; `close` ends the TCP connection after it."""
    body = orjson.dumps({"code": code, "message": message})
    answer = web.Response(status=status, reason=reason, body=body, content_type="application/json")
    if close:
        answer.force_close()
    return answer


def bad_request(message: str) -> web.Response:
    """400 in the gateway's shape."""
    return error(400, "BadRequest", message)


def unauthorized() -> web.Response:
    """401, section 2."""
    return error(401, "Unauthorized", "Invalid token")


def not_ready() -> web.Response:
    """503, the shape that clients read as "wait"."""
    answer = web.Response(status=503, body=NOT_READY, content_type="text/plain")
    answer.headers["Retry-After"] = "1"
    return answer


def not_found() -> web.Response:
    """404 of ChatLLM and vLLM for an unknown path."""
    return json_answer({"detail": "Not Found"}, 404)


def method_not_allowed(allowed: Iterable[str]) -> web.Response:
    """405 with `Allow`."""
    names = ", ".join(sorted(allowed))
    answer = error(405, "MethodNotAllowed", f"this path allows {names}")
    answer.headers["Allow"] = names
    return answer


def too_large(limit_mib: float) -> web.Response:
    """413, then close."""
    return error(413, "PayloadTooLarge", f"the request body exceeds {limit_mib:g} MiB", close=True)


def timed_out(seconds: float) -> web.Response:
    """408, then close."""
    return error(408, "RequestTimeout", f"the request took longer than {seconds:g} s", close=True)


def internal_error() -> web.Response:
    """500 for a defect of ours; the log has the reason."""
    return error(500, "InternalError", "internal error")


def queue_full(message: str) -> web.Response:
    """450: more requests wait than the replica may queue (3.2)."""
    return error(450, "QueueFull", message, reason="Queue Full", close=True)


def status_of(problem: Exception) -> int:
    """The status code of what an engine raised for one request."""
    match problem:
        case QueueFull():
            return 450
        case PromptTooLong() | NotSupported():
            return 400
        case _:
            return 500


def engine_error(problem: Exception) -> web.Response:
    """What an engine raised for one request, in the gateway's shape."""
    match status_of(problem):
        case 450:
            return queue_full(str(problem))
        case 400:
            return bad_request(str(problem))
        case status:
            return error(status, "InternalError", str(problem))
