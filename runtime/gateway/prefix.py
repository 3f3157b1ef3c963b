"""Which service does a request's target name, and what of it? (eas-protocols.md section 1)"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import unquote

_ADDRESS = re.compile(r"/api/predict/([^/]+)(/.*)?", re.DOTALL)
_ABSOLUTE = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)


class Place(Enum):
    """Where a target points."""

    ROOT = "root"  # the service itself: readiness, the page, ChatLLM
    BELOW = "below"  # a path of the service
    INTERNAL = "internal"  # the replica's own paths under /-/: never forwarded
    ELSEWHERE = "elsewhere"  # no service's address


@dataclass(frozen=True, slots=True)
class Target:
    """A request target, taken apart. `origin`, what a replica gets, is path and query as sent, byte for byte."""

    origin: bytes
    path: str  # as sent, without the query
    service: str  # the name in the path, "" elsewhere; not checked against any list
    place: Place


def parse_target(raw: bytes) -> Target:
    """Take a request target apart; a target in absolute form loses its scheme and authority. Raises ValueError.

    `/api/predict/demo` and `/api/predict/demo/` are the root of `demo`. What a replica would resolve to its own
    paths (`/-/status`, `//-/status`, `/x/../-/status`, `/%2D/status`) is INTERNAL.
    """
    origin = raw
    if not raw.startswith(b"/"):
        absolute = _ABSOLUTE.match(raw)
        if absolute is None:
            raise ValueError("the request target must be a path or an http URL")
        origin = raw[absolute.end() :]
        if not origin.startswith(b"/"):
            origin = b"/" + origin
    path = origin.partition(b"?")[0].decode("ascii")
    if "#" in path:
        raise ValueError("the request target must not have a fragment")
    match = _ADDRESS.fullmatch(path)
    if match is None:
        return Target(origin, path, "", Place.ELSEWHERE)
    rest = match[2] or ""
    if rest in ("", "/"):
        place = Place.ROOT
    else:
        place = Place.INTERNAL if "-" in _resolved_first_segments(rest) else Place.BELOW
    return Target(origin, path, match[1], place)


def _resolved_first_segments(rest: str) -> set[str]:
    """The first segments that a replica may see, whether or not it decodes or resolves the path."""
    if "%" not in rest and "//" not in rest and "/." not in rest and ";" not in rest:
        return {rest.split("/", 2)[1]}
    found = set()
    for text in (rest, unquote(rest), unquote(unquote(rest))):
        segments: list[str] = []
        for segment in text.split("/"):
            name = segment.partition(";")[0]
            if name == "..":
                found.update(segments[:1])
                segments = segments[:-1]
            elif name not in ("", "."):
                segments.append(name)
        found.update(segments[:1])
    return found
