"""What a model source's text means: `/folder`, `embedded://NAME`, `hf://org/name@revision`, `s3://bucket/prefix`,
`git+https://host/repository@commit#folder`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Literal

Scheme = Literal["path", "embedded", "hf", "modelscope", "s3", "git"]
_SCHEMES = ("embedded", "hf", "modelscope", "s3")
_GIT = ("git+https", "git+ssh", "git+file")
_REVISION = re.compile(r"[A-Za-z0-9._/-]+")
_COMMIT = re.compile(r"[0-9a-f]{7,40}")


class SourceError(ValueError):
    """The source is misspelt, unreachable, or holds something else than its digest says; the text is safe to show."""


@dataclass(frozen=True, slots=True)
class Source:
    """A parsed source. `place`: the folder, the embedded name, `org/name`, `bucket/prefix` or git's URL."""

    scheme: Scheme
    place: str
    revision: str = ""  # hubs: "" = the default branch; git: the commit
    folder: str = field(default="", repr=False)  # git: inside the repository; two folders of one commit are one clone

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
    if scheme in _GIT:
        return _git(text, scheme.removeprefix("git+"), place)
    place = place.rstrip("/")
    if not colon or scheme not in _SCHEMES:
        known = ", ".join(f"{name}://" for name in (*_SCHEMES, *_GIT))
        raise SourceError(f"source {text!r}: neither an absolute folder nor one of {known}")
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


def _git(text: str, scheme: str, place: str) -> Source:
    url, at, rest = place.rpartition("@")
    commit, _, folder = rest.partition("#")
    if not at or not url or not _COMMIT.fullmatch(commit):
        raise SourceError(f"source {text!r}: expected git+{scheme}://host/repository@commit[#folder]")
    if ".." in folder.split("/") or folder.startswith("/"):
        raise SourceError(f"source {text!r}: {folder!r} leaves the repository")
    return Source("git", f"{scheme}://{url}", commit, folder.strip("/"))
