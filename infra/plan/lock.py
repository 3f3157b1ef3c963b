"""The lock file `inferform.lock`: what is mutable or was chosen, pinned. Written by `inferform lock`, committed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from runtime.contract.document import Document

FILE = "inferform.lock"


class LockError(ValueError):
    """The lock file cannot be read; the text names it and the field."""


class LockedModel(Document):
    """A hub's or bucket's model at one commit or manifest, with what sizing needs, so that a plan asks no network."""

    revision: str
    """A hub's commit; S3: the hash of the manifest."""
    weight_bytes: int
    pickle_only: bool = False
    remote_code: bool = False
    config: dict[str, Any]


class LockedChoice(Document):
    """An instance type that was chosen for a version on public resources."""

    instance_type: str
    gpus: int = 0


def lock_key(target: str, version: str) -> str:
    """The key of an instance type: stacks of one project may have targets of different clouds."""
    return f"{target}:{version}"


class Lock(Document):
    """The whole file. Keys: a model's source as the plan resolves it, `target:service/version`, a method."""

    version: int = 1
    models: dict[str, LockedModel] = Field(default_factory=dict)
    instances: dict[str, LockedChoice] = Field(default_factory=dict)
    images: dict[str, str] = Field(default_factory=dict)
    """Method to the image that serves it, by digest: `standard: registry.example/inferform@sha256:...`. Written by
    `inferform image build`; a stack on a cluster that names no `target.image` uses it."""
    mounts: dict[str, str] = Field(default_factory=dict)
    """Buckets that are mounted: source to the hash of the manifest."""

    def text(self) -> str:
        """What stands in the file: sorted and indented, so that a change is a small diff."""
        return json.dumps(self.to_data(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def read_lock(folder: Path) -> Lock | None:
    """The lock file of a project folder, None when there is none; raises LockError."""
    path = folder / FILE
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    try:
        lock = Lock.from_json(text)
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole file"
        raise LockError(f"{path}: {where}: {first['msg']}; `inferform lock` writes it anew") from problem
    if lock.version != 1:
        raise LockError(f"{path}: version {lock.version} is newer than this Inferform knows (1)")
    return lock
