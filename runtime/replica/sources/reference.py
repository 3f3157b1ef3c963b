"""What a model source's text means: `/folder`, `embedded://NAME`, `hf://org/name@revision`, `s3://bucket/prefix`."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Literal

Scheme = Literal["path", "embedded", "hf", "modelscope", "s3"]
_SCHEMES = ("embedded", "hf", "modelscope", "s3")
_REVISION = re.compile(r"[A-Za-z0-9._/-]+")


class SourceError(ValueError):
    """The source is misspelt, unreachable, or holds something else than its digest says; the text is safe to show."""


@dataclass(frozen=True, slots=True)
class Source:
    """A parsed source. `place`: the folder, the embedded name, `org/name` or `bucket/prefix`."""

    scheme: Scheme
    place: str
    revision: str = ""  # hubs only; "" = the hub's default branch

    @property
    def folder_name(self) -> str:
        """A readable, unique name for a folder in the cache."""
        readable = re.sub(r"[^A-Za-z0-9.-]+", "--", self.place).strip("-")[-60:]
        return f"{self.scheme}--{readable}--{hashlib.sha256(repr(self).encode()).hexdigest()[:8]}"


def parse_source(text: str) -> Source:
    """Parse a source. Raises SourceError."""
    if text.startswith("/"):
        return Source("path", text)
    scheme, colon, place = text.partition("://")
    place = place.rstrip("/")
    if not colon or scheme not in _SCHEMES:
        raise SourceError(
            f"source {text!r}: neither an absolute folder nor one of {', '.join(f'{name}://' for name in _SCHEMES)}"
        )
    revision = ""
    if scheme in ("hf", "modelscope"):
        place, _, revision = place.partition("@")
        if place.count("/") != 1 or not all(place.split("/")):
            raise SourceError(f"source {text!r}: expected {scheme}://organization/name[@revision]")
        if revision and not _REVISION.fullmatch(revision):
            raise SourceError(f"source {text!r}: {revision!r} is not a revision")
    if not place:
        raise SourceError(f"source {text!r}: nothing follows {scheme}://")
    return Source(scheme, place, revision)  # type: ignore[arg-type]
