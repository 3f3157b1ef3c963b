"""Log files: bounded in size although their writers outlive this host, read from the end, followed.

A writer holds its file open in append mode and knows nothing of rotation, and a pipe would die with the host. So the
host copies a file that has grown too large and truncates it in place; the writer's next line starts the file anew.
Lines that are written between the copy and the cut are lost: a log may, a request may not.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

MAX_BYTES = 8 * 1024 * 1024
KEEP = 2
FOLLOW_SECONDS = 0.25


def rotate(path: Path, *, max_bytes: int = MAX_BYTES, keep: int = KEEP) -> bool:
    """Copy and truncate a file larger than `max_bytes`; `keep` older copies stay as NAME.1 (newest), NAME.2 ..."""
    try:
        if path.stat().st_size <= max_bytes:
            return False
    except FileNotFoundError:
        return False
    for number in range(keep, 1, -1):
        older = path.with_name(f"{path.name}.{number - 1}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number}"))
    if keep:
        shutil.copyfile(path, path.with_name(f"{path.name}.1"))
    os.truncate(path, 0)
    return True


def rotate_all(folder: Path) -> None:
    """Rotate every log below a folder."""
    for path in folder.rglob("*.log"):
        rotate(path)


def tail(path: Path, lines: int, *, start: int = 0) -> list[str]:
    """The last lines of a log, the newest rotated copy included; `start` leaves out the bytes before it."""
    text = _end_of(path, start)
    if start == 0 and text.count("\n") < lines:
        text = _end_of(path.with_name(f"{path.name}.1"), 0) + text
    return text.splitlines()[-lines:] if lines > 0 else []


def _end_of(path: Path, start: int, most: int = 1024 * 1024) -> str:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            begin = start if start <= size else 0  # it was rotated since
            file.seek(max(begin, size - most))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def sizes(paths: Sequence[Path]) -> dict[Path, int]:
    """How long these files are now: where `follow` goes on."""
    return {path: path.stat().st_size if path.exists() else 0 for path in paths}


async def follow(places: dict[Path, int]) -> AsyncIterator[bytes]:
    """What is appended to these files from these places on."""
    places = dict(places)
    while True:
        for path, place in places.items():
            try:
                with path.open("rb") as file:
                    size = file.seek(0, os.SEEK_END)
                    file.seek(place if place <= size else 0)
                    new = file.read(1024 * 1024)
                    places[path] = file.tell()
            except FileNotFoundError:
                continue
            if new:
                yield new
        await asyncio.sleep(FOLLOW_SECONDS)


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, event, and what was given as `extra={"fields": {...}}`."""

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        data = {"time": stamp, "level": record.levelname.lower(), "event": record.getMessage()}
        data.update(getattr(record, "fields", {}))
        if record.exc_info:
            data["error"] = self.formatException(record.exc_info)
        return json.dumps(data, ensure_ascii=False)


def log_to(path: Path) -> None:
    """Send the host's log, and whatever Python itself writes to stdout and stderr, to a file."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    if sys.stderr.isatty():
        handlers.append(logging.StreamHandler(os.fdopen(descriptor, "w", encoding="utf-8")))
    else:
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.close(descriptor)
    for handler in handlers:
        handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=handlers, force=True)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)


log = logging.getLogger("runtime.host")


def note(event: str, **fields: object) -> None:
    """One structured line in the host's log. Never give it a token."""
    log.info(event, extra={"fields": fields})


def warn(event: str, **fields: object) -> None:
    """The same, at level warning."""
    log.warning(event, extra={"fields": fields})
