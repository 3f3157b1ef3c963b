"""settings/<service>.json: what a running replica re-reads. Written whole, in one step, for the owner alone."""

from __future__ import annotations

import os
from pathlib import Path

from runtime.contract.replica import ServiceSettings


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step (mode 0600): a reader sees the old text or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.new")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


class SettingsFiles:
    """The settings files of one state folder; a file is written when its content changes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written: dict[str, str] = {}

    def path(self, service: str) -> Path:
        return self._folder / f"{service}.json"

    def update(self, service: str, settings: ServiceSettings) -> None:
        text = settings.to_json()
        if self._written.get(service) != text:
            write_private(self.path(service), text)
            self._written[service] = text

    def keep_only(self, services: set[str]) -> None:
        """Delete the files of services that are gone."""
        for path in self._folder.glob("*.json"):
            if path.stem not in services:
                path.unlink(missing_ok=True)
                self._written.pop(path.stem, None)
