"""The settings file of a service, re-read when it changes: tokens, limits, wire, page."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from runtime.contract.replica import ServiceSettings

log = logging.getLogger(__name__)

Stamp = tuple[int, int, int]


class SettingsFile:
    """The newest readable settings. The file is looked at once a second at most; a broken one changes nothing."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic, every_seconds: float = 1.0) -> None:
        """Read the file once; raises OSError or ValueError when that fails."""
        self._path, self._clock, self._every = path, clock, every_seconds
        self._stamp = self._look()
        self._settings = ServiceSettings.from_json(path.read_bytes())
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
        """Look at the file now, whatever the clock says: a token may have been rotated a moment ago."""
        try:
            stamp = self._look()
            if stamp == self._stamp:
                return self._settings
            settings = ServiceSettings.from_json(self._path.read_bytes())
        except OSError as error:
            log.warning("settings kept: %s cannot be read: %s", self._path.name, error.strerror)
        except ValidationError as error:
            # Only where and why, never the input: it holds tokens.
            places = ", ".join(".".join(map(str, problem["loc"])) or "document" for problem in error.errors())
            log.warning("settings kept: %s is not valid at %s", self._path.name, places)
            self._stamp = stamp
        else:
            self._stamp, self._settings = stamp, settings
        return self._settings

    def _look(self) -> Stamp:
        facts = os.stat(self._path)
        return facts.st_mtime_ns, facts.st_ino, facts.st_size
