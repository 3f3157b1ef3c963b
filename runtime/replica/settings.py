"""The settings of a service, re-read when their files change: tokens, limits, wire, page."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from runtime.contract.cluster import ROUTE_FILE, TOKENS_FILE
from runtime.contract.desired import Token
from runtime.contract.replica import ServiceSettings
from runtime.contract.route import RouteTable
from runtime.contract.settings import service_settings

log = logging.getLogger(__name__)

Read = TypeVar("Read")
Stamp = tuple[tuple[int, int, int] | None, ...]


class BrokenSettings(ValueError):
    """A file that cannot be understood. Says where and why, never what it holds: that may be a token."""


class SettingsFile:
    """The newest readable settings. The files are looked at once a second at most; a broken one changes nothing.

    `path` is one file with ServiceSettings (local), or a folder with a Token and a RouteTable (a pod's mounts).
    """

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = time.monotonic,
        every_seconds: float = 1.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Read once; raises OSError or BrokenSettings when that fails."""
        self._path, self._clock, self._every, self._now = path, clock, every_seconds, now
        self.in_pod = path.is_dir()
        self._tokens, self._route = path / TOKENS_FILE, path / ROUTE_FILE
        self._files = (self._tokens, self._route) if self.in_pod else (path,)
        self._ends = float("inf")  # when what was read changes by itself: a token's overlap
        self._stamp = self._look()
        self._settings = self._read()
        self._next_look = clock() + every_seconds

    @property
    def current(self) -> ServiceSettings:
        """The settings of now, at most a second old."""
        now = self._clock()
        if now >= self._next_look:
            self._next_look = now + self._every
            self.refresh()
        return self._settings

    def refresh(self) -> ServiceSettings:
        """Look at the files now, whatever the clock says: a token may have been rotated a moment ago."""
        try:
            stamp = self._look()
            if stamp == self._stamp and self._now() < self._ends:
                return self._settings
            settings = self._read()
        except OSError as error:
            log.warning("settings kept: %s cannot be read: %s", self._path.name, error.strerror)
        except BrokenSettings as error:
            log.warning("settings kept: %s", error)
            self._stamp = stamp
        else:
            self._stamp, self._settings = stamp, settings
        return self._settings

    def _look(self) -> Stamp:
        """What changes whenever a file does. In a pod either file may be missing: no token, no route yet."""
        stamps: list[tuple[int, int, int] | None] = []
        for file in self._files:
            try:
                facts = os.stat(file)  # of what the kubelet's links lead to
            except FileNotFoundError:
                if not self.in_pod:
                    raise
                stamps.append(None)
            else:
                stamps.append((facts.st_mtime_ns, facts.st_ino, facts.st_size))
        return tuple(stamps)

    def _read(self) -> ServiceSettings:
        if not self.in_pod:
            return _parsed(self._path, ServiceSettings.from_json)
        now = self._now()
        token = _parsed(self._tokens, Token.from_json) if self._tokens.exists() else None
        route = _parsed(self._route, RouteTable.from_json) if self._route.exists() else None
        ends = token is not None and token.before and now < token.before_until
        self._ends = token.before_until if token is not None and ends else float("inf")
        return service_settings(route, token, now)


def _parsed(path: Path, parse: Callable[[bytes], Read]) -> Read:
    try:
        return parse(path.read_bytes())
    except ValidationError as error:
        places = ", ".join(".".join(map(str, problem["loc"])) or "document" for problem in error.errors())
        raise BrokenSettings(f"{path.name} is not valid at {places}") from None
    except (ValueError, TypeError, KeyError) as error:
        raise BrokenSettings(f"{path.name} is not valid: {type(error).__name__}") from None
