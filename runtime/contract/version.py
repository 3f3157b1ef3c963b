"""What a version is: everything that changes how its process starts, and the hash of that."""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from typing import Any

from pydantic import Field

from runtime.contract.document import Document
from runtime.contract.names import CONTRACT_VERSION


class Method(StrEnum):
    """Fixes the protocols that a service speaks (DESIGN, `Words`)."""

    STANDARD = "standard"
    VLLM = "vllm"
    BLADELLM = "bladellm"
    PROCESS = "process"


class EngineKind(StrEnum):
    """What generates tokens."""

    TRANSFORMERS = "transformers"
    VLLM = "vllm"
    SCRIPTED = "scripted"


class ModelReference(Document):
    """Which weights. `digest` pins the content: a path's content hash, a hub's commit, an S3 manifest's hash."""

    name: str
    source: (
        str  # /absolute/folder | embedded://NAME | hf://org/name@revision | modelscope://org/name@revision | s3://...
    )
    digest: str


class Mount(Document):
    """A storage mount inside a replica."""

    mount_path: str
    source: str  # /absolute/folder | s3://bucket/prefix | git+URL@commit | empty:// | pvc://claim[/path]
    read_only: bool = True
    digest: str = ""


class Trust(Document):
    """What a model may do that is refused by default."""

    pickle: bool = False
    remote_code: bool = False


class Probe(Document):
    """One EAS-style check (eas-service-spec.md 1.5); exactly one of the three ways is set. Seconds."""

    http_path: str | None = None
    tcp_port: int | None = None
    command: tuple[str, ...] | None = None
    initial_delay_seconds: int = 15
    period_seconds: int = 10
    timeout_seconds: int = 1
    success_threshold: int = 1
    failure_threshold: int = 1


LATER = ("quota", "modelCache")


class VersionTemplate(Document):
    """Everything that is in a version's hash, as plain values. Replica bounds, traffic, limits, tokens are not."""

    contract: int = CONTRACT_VERSION
    method: Method
    engine: EngineKind | None  # None: method process
    model: ModelReference | None = None  # None: scripted without a model, or process
    context: int | None = None  # tokens; None: the model's own
    concurrency: int = 16  # sequences at once
    engine_args: dict[str, Any] = Field(default_factory=dict)
    adapters: dict[str, ModelReference] = Field(default_factory=dict)
    storage: tuple[Mount, ...] = ()
    env: dict[str, str] = Field(default_factory=dict)
    command: tuple[str, ...] | None = None
    probes: dict[str, Probe] = Field(default_factory=dict)  # startup, liveness, readiness
    trust: Trust = Trust()
    image: str | None = None  # digest; None on local
    cpus: float | None = None
    memory_gib: float | None = None
    gpus: int = 0
    gpu_model: str | None = None
    instance_types: tuple[str, ...] = ()
    drain_seconds: int = 30  # a replica that stops finishes what it runs for at most this long
    quota: str | None = None  # clusters: its PriorityClass is in the pod's template
    model_cache: str | None = None  # clusters: the volume claim that holds the model

    def canonical(self) -> str:
        """As every document's; keys that came later count only where they are set, so that older hashes stay."""
        data = self.to_data()
        kept = {key: value for key, value in data.items() if key not in LATER or value is not None}
        return json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def hash(self) -> str:
        """Ten hex digits of SHA-256 over the canonical JSON: the version's identity."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()[:10]


class Bounds(Document):
    """Replica bounds of a version, 0 <= min <= max."""

    min: int = 1
    max: int = 1
