"""One request to a service the way a client sends it: plain HTTP over a socket of its own."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: bytes
    version: str

    @property
    def text(self) -> str:
        """The answer's text of a ChatLLM reply."""
        return str(json.loads(self.body)["response"])


def ask(
    endpoint: str,
    service: str,
    token: str,
    prompt: str = "hi",
    *,
    seconds: float = 90,
    headers: Mapping[str, str] | None = None,
    **fields: Any,
) -> Answer:
    """One structured ChatLLM request (eas-protocols.md 4.3)."""
    where = urlsplit(endpoint)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=seconds)
    try:
        body = json.dumps({"prompt": prompt, **fields})
        connection.request("POST", f"/api/predict/{service}", body, {"Authorization": token, **(headers or {})})
        reply = connection.getresponse()
        return Answer(reply.status, reply.read(), reply.getheader("X-Inferform-Version", ""))
    finally:
        connection.close()


def ask_stream(endpoint: str, service: str, token: str, prompt: str = "hi", **fields: Any) -> list[str]:
    """A streamed request; the `response` of every record."""
    answer = ask(endpoint, service, token, prompt, use_stream_chat=True, **fields)
    assert answer.status == 200, answer
    return [json.loads(record)["response"] for record in answer.body.split(b"\0") if record]
