"""Where a model, adapter or mount comes from: one string in the stack file, parsed once. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from infra.stackfile.errors import nearest

Kind = Literal["catalog", "path", "s3", "hf", "modelscope", "git", "empty", "pvc"]

MODEL_SCHEMES = ("s3", "hf", "modelscope")
MOUNT_SCHEMES = ("s3", "git+https", "git+ssh", "git+file", "empty", "pvc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A parsed source.

    `name`: the catalog id, the path as written, `bucket/prefix`, `org/name`, `claim[/path]` or a URL.
    """

    kind: Kind
    name: str
    revision: str = ""  # a hub's revision or a git commit; empty: the default branch


class BadSource(ValueError):
    """A source that cannot be read. `hint`: the nearest that could; `secret`: the source itself is not to be shown."""

    def __init__(self, reason: str, hint: str = "", *, secret: bool = False) -> None:
        super().__init__(reason)
        self.hint, self.secret = hint, secret


def is_path(text: str) -> bool:
    """Paths say so: they begin with `/`, `./`, `../` or `~`."""
    return text.startswith(("/", "./", "../", "~")) or text in (".", "..")


def model_source(text: str) -> Source:
    """Parse a model's or adapter's source; raises BadSource.

    1. `/`, `./`, `../` and `~` begin a path.
    2. `s3://bucket/prefix`, `hf://org/name[@revision]`, `modelscope://org/name[@revision]`.
    3. Everything else without a scheme and without a slash is a catalog id.
    """
    if is_path(text):
        return Source(kind="path", name=text)
    scheme, mark, rest = text.partition("://")
    if not mark:
        if "/" in text:
            raise BadSource("is neither a catalog id nor a path", f"did you mean hf://{text} or ./{text}?")
        return Source(kind="catalog", name=text)
    if scheme == "s3":
        return Source(kind="s3", name=_bucket(rest))
    if scheme == "hf" or scheme == "modelscope":
        name, _, revision = rest.partition("@")
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
            raise BadSource(f"a {scheme} source is {scheme}://org/name[@revision]")
        return Source(kind="hf" if scheme == "hf" else "modelscope", name=name, revision=revision)
    raise BadSource(
        f"{scheme}:// is not a source of models", nearest(scheme, MODEL_SCHEMES) or "s3://, hf:// and modelscope:// are"
    )


def mount_source(text: str) -> Source:
    """Parse a mount's source; raises BadSource.

    A path, `s3://bucket/prefix`, `git+https://host/repository@commit`, `empty://` or `pvc://claim[/path]`.
    """
    if is_path(text):
        return Source(kind="path", name=text)
    scheme, mark, rest = text.partition("://")
    if not mark:
        raise BadSource("is not a source of a mount", f"did you mean ./{text}?")
    if scheme == "empty":
        return Source(kind="empty", name=rest)
    if scheme == "s3":
        return Source(kind="s3", name=_bucket(rest))
    if scheme == "pvc":
        if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(/.*)?", rest) or ".." in rest.split("/"):
            raise BadSource("a claim's source is pvc://CLAIM or pvc://CLAIM/PATH", "for example pvc://models/qwen")
        return Source(kind="pvc", name=rest.rstrip("/"))
    if scheme in MOUNT_SCHEMES:
        url, _, commit = rest.rpartition("@")
        if not url or not re.fullmatch(r"[0-9a-f]{7,40}", commit):
            raise BadSource("a git source ends in @ and a commit", f"for example {scheme}://{url or rest}@<commit>")
        if scheme == "git+https" and "@" in url:
            raise BadSource(
                "has a user or a password in its URL, and a stack file holds no secrets",
                f"{scheme}://{url.rpartition('@')[2]}@{commit}, with a credential helper of git's",
                secret=True,
            )
        return Source(kind="git", name=f"{scheme.removeprefix('git+')}://{url}", revision=commit)
    raise BadSource(
        f"{scheme}:// is not a source of mounts",
        nearest(scheme, MOUNT_SCHEMES) or "s3://, git+https://, pvc:// and empty:// are",
    )


def _bucket(rest: str) -> str:
    bucket, _, prefix = rest.partition("/")
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", bucket):
        raise BadSource("an s3 source is s3://bucket/prefix")
    return f"{bucket}/{prefix}" if prefix else bucket
