"""One request, and the reasons for which it may end before its time."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from runtime.gateway.body import Body
from runtime.gateway.heads import RequestHead

if TYPE_CHECKING:
    from runtime.gateway.client import ClientConnection


class Abort(Enum):
    """Why a request's task was cancelled."""

    GONE = 499  # the client left
    STALLED = 498  # the client took no bytes of its answer; never sent, logged as 499
    TIMEOUT = 408
    TOO_LARGE = 413
    BAD_BODY = 400
    BODY_TIMEOUT = 407  # the body stopped coming; sent as 408
    SHUTDOWN = 503


class Request:
    """One request on one client connection."""

    def __init__(self, head: RequestHead, body: Body, client: ClientConnection, now: float) -> None:
        self.head = head
        self.body = body
        self.client = client
        self.started = now
        self.abort: Abort | None = None
        self.answered = False  # the head of an answer was sent
        self.running = False  # its task has begun

    def cancel(self, why: Abort) -> None:
        """End the request's task; it sends what is still to be sent. One that has not begun looks at `abort` first."""
        if self.abort is None:
            self.abort = why
            if self.running:
                self.client.cancel_task()
