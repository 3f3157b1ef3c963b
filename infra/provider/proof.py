"""The proof of a version: one generation through the gateway, with the service's token, answered by that very hash."""

from __future__ import annotations

import http.client
import json
import socket
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from infra.provider.operation import Cancellation
from runtime.contract.names import PREDICT_PREFIX, VERSION_HEADER

PROMPT = {"prompt": "hi", "max_new_tokens": 1}
"""ChatLLM, which every method but `process` speaks at the service's root."""
AGAIN = frozenset({401, 404, 429, 450, 502, 503, 504})
"""Answers of a gateway that has not yet seen the newest view, or whose service is busy: worth another try."""
EXCERPT = 300


@dataclass(frozen=True)
class Answer:
    """What came back: the status, the hash that answered, and for errors the start of the body."""

    status: int
    hash: str
    text: str = ""


def verdict(answer: Answer, hash: str) -> str:
    """Why this answer does not prove the version, in words; empty when it does."""
    if answer.status != 200:
        return f"the gateway answered {answer.status}{f': {answer.text}' if answer.text else ''}"
    if answer.hash != hash:
        return f"the version {answer.hash or '(unnamed)'} answered instead"
    return ""


def ask(endpoint: str, service: str, hash: str, token: str, *, timeout: float, cancellation: Cancellation) -> Answer:
    """Send one tiny generation to this version. OSError: the gateway cannot be reached; Cancelled: it was cancelled."""
    address = urlsplit(endpoint)
    connection = http.client.HTTPConnection(address.hostname or "127.0.0.1", address.port or 80, timeout=timeout)
    headers = {"Content-Type": "application/json", "Authorization": token, VERSION_HEADER: hash}
    try:
        connection.connect()
        with cancellation.calling(lambda: _shut(connection)):
            connection.request("POST", f"{PREDICT_PREFIX}{service}", json.dumps(PROMPT), headers)
            response = connection.getresponse()
            body = response.read()
    except (OSError, http.client.HTTPException) as lost:
        cancellation.check()
        raise OSError(str(lost) or type(lost).__name__) from lost
    finally:
        connection.close()
    text = "" if response.status == 200 else body[:EXCERPT].decode(errors="replace").strip()
    return Answer(response.status, response.getheader(VERSION_HEADER, ""), text)


def _shut(connection: http.client.HTTPConnection) -> None:
    if connection.sock is not None:
        with suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)
