"""A small client of ChatLLM over HTTP: one object, or a stream of objects that each end in a NUL byte."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

from runtime.contract.names import VERSION_HEADER

HINTS = {
    401: "the token is not the service's: `inferform token SERVICE` prints it",
    404: "the gateway does not know the service: `inferform status` shows what runs",
    408: "it took longer than limits.requestSeconds",
    429: "a limit of the service was reached: limits.qps or limits.concurrency",
    450: "too many requests wait: limits.queue",
    503: "no replica is ready: `inferform status` shows why",
}


class CallFailed(Exception):
    """The service did not answer; the text says what it said, `hint` what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def ask(
    url: str,
    token: str,
    request: Mapping[str, Any],
    *,
    version: str = "",
    stream: bool = True,
    cumulative: bool = True,
    timeout: float = 600,
) -> Iterator[dict[str, Any]]:
    """The answer's records. When streamed, `response` of each is the new piece alone, whatever the service sends.

    `timeout` is the longest wait for bytes, in seconds. Raises CallFailed.
    """
    parts = urlsplit(url)
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = token
    if version:
        headers[VERSION_HEADER] = version
    body = json.dumps({**request, "use_stream_chat": stream})
    with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)) as connection:
        try:
            connection.request("POST", parts.path, body=body.encode(), headers=headers)
            answer = connection.getresponse()
            if answer.status != 200:
                raise refusal(answer.status, answer.reason, answer.read())
            if not stream:
                yield _record(answer.read())
                return
            said = ""
            for record in _records(answer):
                text = str(record.get("response", ""))
                if cumulative:
                    text, said = text.removeprefix(said), text
                yield {**record, "response": text}
        except TimeoutError as late:
            raise CallFailed(f"{url} sent nothing for {timeout:g} s", "--timeout allows longer") from late
        except ConnectionRefusedError as refused:
            raise CallFailed(
                f"nobody listens at {url}", "`inferform status` shows the gateway; `pulumi up` repairs"
            ) from refused
        except (OSError, http.client.HTTPException) as lost:
            raise CallFailed(f"the answer of {url} broke off: {lost}", "`inferform logs SERVICE` may say why") from lost


def refusal(status: int, reason: str, body: bytes) -> CallFailed:
    """The error for a status, with the words of the body where it has some."""
    text = body.decode(errors="replace").strip()
    try:
        data = json.loads(text)
    except json.JSONDecodeError:
        data = None
    if isinstance(data, dict):
        error = data.get("error", data)
        text = str(error.get("message", text) if isinstance(error, dict) else error)
    return CallFailed(f"{status} {reason}: {text[:500]}" if text else f"{status} {reason}", HINTS.get(status, ""))


def _records(answer: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    left = b""
    while piece := answer.read1(65536):
        *whole, left = (left + piece).split(b"\0")
        yield from (_record(each) for each in whole if each.strip())
    if left.strip():
        yield _record(left)


def _record(payload: bytes) -> dict[str, Any]:
    try:
        record = json.loads(payload)
    except ValueError as strange:
        raise CallFailed(
            f"the service did not answer in ChatLLM's form: {payload[:200].decode(errors='replace')}"
        ) from strange
    if not isinstance(record, dict):
        raise CallFailed(f"the service did not answer in ChatLLM's form: {payload[:200].decode(errors='replace')}")
    return record
