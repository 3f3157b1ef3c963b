"""One create, read, update or delete under way: who it is for, where it reports, whether it was cancelled."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol


class Cancelled(Exception):
    """The engine cancelled the run, or is gone."""

    def __init__(self) -> None:
        super().__init__("cancelled")


class Refused(Exception):
    """An operation cannot be done; the text says why and what would help. Shown to the user as it is."""


class Cancellation:
    """Set once, by Cancel, a signal or the engine's end; then every wait raises Cancelled."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []

    def cancel(self) -> None:
        """Stop what runs: wake every wait and call every callback."""
        with self._lock:
            self._event.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    @property
    def cancelled(self) -> bool:
        """Was it cancelled?"""
        return self._event.is_set()

    def check(self) -> None:
        """Raise Cancelled if it was."""
        if self._event.is_set():
            raise Cancelled

    def sleep(self, seconds: float) -> None:
        """Wait so long, or raise Cancelled at once when it is cancelled meanwhile."""
        if self._event.wait(seconds):
            raise Cancelled

    @contextmanager
    def calling(self, callback: Callable[[], None]) -> Iterator[None]:
        """Inside, a cancellation calls `callback`, e.g. to shut a socket that something blocks on."""
        with self._lock:
            self._callbacks.append(callback)
        try:
            self.check()
            yield
        finally:
            with self._lock:
                if callback in self._callbacks:
                    self._callbacks.remove(callback)


class Severity(Enum):
    """How the engine shows a message."""

    INFO = "info"
    WARNING = "warning"
    STATUS = "status"  # the live column beside the resource; nothing remains of it


class Log(Protocol):
    """Where messages about a resource go. No secret may be in one."""

    def __call__(self, urn: str, severity: Severity, text: str) -> None: ...


def no_log(urn: str, severity: Severity, text: str) -> None:
    """A plugin without an engine: nobody listens."""


@dataclass(frozen=True)
class Operation:
    """The context of one call. `timeout` in seconds, 0 = none given."""

    urn: str = ""
    log: Log = no_log
    cancellation: Cancellation = field(default_factory=Cancellation)
    timeout: float = 0

    @property
    def stack(self) -> str:
        """organization/project/stack of the URN. A URN has no organization; a file backend knows only this one."""
        parts = self.urn.split("::", 3)
        if len(parts) < 4:
            return "organization/project/stack"
        return f"organization/{parts[1]}/{parts[0].removeprefix('urn:pulumi:')}"

    @property
    def short_stack(self) -> str:
        """project.stack of the URN, as namespaces are marked with their owner."""
        return ".".join(self.stack.split("/")[1:])

    def info(self, text: str) -> None:
        """A message that stays in the resource's diagnostics."""
        self.log(self.urn, Severity.INFO, text)

    def warn(self, text: str) -> None:
        """A warning that stays in the resource's diagnostics."""
        self.log(self.urn, Severity.WARNING, text)

    def status(self, text: str) -> None:
        """Progress, shown live beside the resource."""
        self.log(self.urn, Severity.STATUS, text)
