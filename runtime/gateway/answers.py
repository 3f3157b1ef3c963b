"""The gateway's own answers (eas-protocols.md section 3)."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from http import HTTPStatus

_TEXT = b"text/plain"
_JSON = b"application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response. `extra` are whole header lines."""

    status: int
    body: bytes = b""
    content_type: bytes = _JSON
    extra: bytes = b""
    close: bool = False

    def encode(self, *, head_only: bool, close: bool, http_1_0: bool) -> bytes:
        """The bytes to send; with `head_only` the answer to a HEAD."""
        lines = [b"HTTP/1.1 %d %s\r\n" % (self.status, _reason(self.status))]
        if self.body:
            lines.append(b"Content-Type: %s\r\n" % self.content_type)
        lines.append(b"Content-Length: %d\r\n" % len(self.body))
        lines.append(self.extra)
        if close:
            lines.append(b"Connection: close\r\n")
        elif http_1_0:
            lines.append(b"Connection: keep-alive\r\n")
        lines.append(b"\r\n")
        if not head_only:
            lines.append(self.body)
        return b"".join(lines)

    def retry_after(self, seconds: int) -> Answer:
        """The same answer with `Retry-After`."""
        return replace(self, extra=self.extra + b"Retry-After: %d\r\n" % seconds)


def problem(status: int, code: str, message: str, *, close: bool = False) -> Answer:
    """The JSON shape of every error but the two fixed ones of section 3.1."""
    return Answer(status, json.dumps({"code": code, "message": message}).encode(), close=close)


class Refused(Exception):
    """A request is answered by the gateway itself. `error` is for the access log."""

    def __init__(self, answer: Answer, error: str = "") -> None:
        super().__init__(error or str(answer.status))
        self.answer = answer
        self.error = error


NO_UPSTREAM = Answer(503, b"no healthy upstream", _TEXT)
UNKNOWN_SERVICE = Answer(404)
UNAUTHORIZED = problem(401, "Unauthorized", "Invalid token")
READY = Answer(200, b'{"status": "ready"}')
BROKEN = problem(502, "BadGateway", "the replica broke off or sent an invalid answer")
SILENT = problem(504, "GatewayTimeout", "the replica did not answer in time")
BODY_TIMED_OUT = problem(408, "RequestTimeout", "the body stopped coming", close=True)
BAD_CHUNKS = problem(400, "BadRequest", "the body's chunks are malformed", close=True)
TIMED_OUT = problem(408, "RequestTimeout", "the request took longer than this service allows", close=True)


def no_upstream(retry_after: int) -> Answer:
    """No replica for a request that is not a readiness probe."""
    return NO_UPSTREAM.retry_after(retry_after)


def rate_limited(retry_after: int = 1) -> Answer:
    """Above the rate, or too many at once."""
    return problem(429, "TooManyRequests", "rate limit exceeded").retry_after(retry_after)


def too_large(limit_mib: float) -> Answer:
    """The body is over `limits.bodyMiB`."""
    return problem(413, "PayloadTooLarge", f"the request body exceeds {limit_mib:g} MiB", close=True)


def _reason(status: int) -> bytes:
    return HTTPStatus(status).phrase.encode()
