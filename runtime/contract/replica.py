"""What a replica is told at its start (ReplicaSpec), what may change while it runs, and what it says of itself."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from runtime.contract.document import Document
from runtime.contract.phases import Phase
from runtime.contract.version import VersionTemplate


class Listen(Document):
    """Where a replica listens: a unix socket (local) or an address (cluster)."""

    socket: str | None = None
    host: str = "127.0.0.1"
    port: int = 0


class Limits(Document):
    """The limits of a service; 0 = off (eas-protocols.md 3.3)."""

    qps: float = 0  # whole service, requests per second
    qps_per_replica: float = 0
    concurrency: int = 0  # whole service, requests in flight
    queue: int = 64  # requests waiting in one replica, else 450
    request_seconds: float = 600  # 408 after it
    hold_seconds: float = 60  # wait for a replica, else 503
    body_mib: float = 64  # 413 above it


class Wire(Document):
    """The two open choices of the ChatLLM wire (eas-protocols.md 4.5, 4.6)."""

    stream_mode: Literal["cumulative", "delta"] = "cumulative"
    v1_reply: Literal["text", "json_string"] = "text"


class Knowledge(Document):
    """The declared knowledge base of a service. The digest is over names and contents: a changed file is a diff."""

    folder: str
    digest: str = ""


class ServiceSettings(Document):
    """What a running replica re-reads when its file changes. Written by the host, 0600."""

    auth: Literal["token", "none"] = "token"
    tokens: tuple[str, ...] = Field(default=(), repr=False)  # all that are valid now; compare in constant time
    limits: Limits = Limits()
    wire: Wire = Wire()
    webui: bool = False
    knowledge: Knowledge | None = None


class ReplicaSpec(Document):
    """Everything one replica needs; read once, at start: `python -m runtime.replica --spec FILE --nonce NONCE`."""

    service: str
    replica: str  # unique on the target, e.g. chat-3f2a9c01d4-0
    hash: str
    template: VersionTemplate
    listen: Listen
    settings_file: str  # a file of ServiceSettings, or a pod's folder of TOKENS_FILE and ROUTE_FILE
    data_folder: str  # per service and kept: knowledge base, prepared mounts
    cache_folder: str
    uploads: bool = True  # false: replicas share no data folder, so a document uploaded to one is unknown to the others


class ReplicaStatus(Document):
    """GET /-/status of a replica. `ready` may be true only in phase firstToken or ready."""

    service: str
    replica: str
    hash: str
    phase: Phase
    since: float  # Unix seconds when this phase began
    detail: str = ""  # e.g. "120 of 269 MB"; phase failed: the phase that failed
    ready: bool = False
    error: str = ""  # phase failed: the reason, one line; the process exits with 1 once it was read, or after 2 s
    running: int = 0
    queue: int = 0
