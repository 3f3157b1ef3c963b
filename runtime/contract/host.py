"""The documents of the host's admin API: HTTP with JSON over a unix socket (docs/designs/local-target.md)."""

from __future__ import annotations

from pydantic import Field

from runtime.contract.document import Document
from runtime.contract.phases import Phase
from runtime.contract.route import RouteTable
from runtime.contract.scaling import Scaling
from runtime.contract.version import Bounds, VersionTemplate

UNKEPT = "--unkept"
"""A host started with this ends everything when its stdin closes before KEEP came: its creation was not finished."""
KEEP = b"keep"


class GatewaySettings(Document):
    """Where the gateway listens."""

    host: str = "127.0.0.1"
    port: int = 8070


class GatewayState(Document):
    """The gateway as the host sees it."""

    settings: GatewaySettings | None = None
    pid: int | None = None
    ready: bool = False
    error: str = ""  # e.g. the port is held by another process, and by whom


class HostInfo(Document):
    """GET /v1/host."""

    contract: int
    stack: str  # organization/project/stack of the Pulumi stack that owns this host
    state_folder: str
    pid: int
    incarnation: str  # new at every start of the host process
    epoch: int
    gateway: GatewayState
    code: str = ""  # runtime.contract.code: another one than the caller's is replaced before the first write


class Epoch(Document):
    """POST /v1/epochs: one higher than every epoch before; older ones are refused from now on."""

    epoch: int


class VersionRecord(Document):
    """PUT /v1/services/{service}/versions/{hash}: what is declared about a version."""

    service: str
    name: str  # the version's name in the stack file
    hash: str
    template: VersionTemplate
    bounds: Bounds
    scaling: Scaling = Scaling()
    urn: str = ""  # of the Pulumi resource that declared it


class ReplicaState(Document):
    """One replica as the host sees it."""

    replica: str
    pid: int | None
    phase: Phase
    since: float
    detail: str = ""
    ready: bool = False
    restarts: int = 0
    error: str = ""
    endpoint: str = ""  # unix:/path or http://host:port


class VersionFailure(Document):
    """Why the last start of a version failed."""

    phase: Phase
    reason: str
    log_tail: tuple[str, ...] = ()


class VersionState(Document):
    """GET /v1/services/{service}/versions/{hash}."""

    record: VersionRecord
    wanted: int  # replicas wanted now (autoscaled or by hand, within the bounds; 0 while stopped or swept)
    replicas: tuple[ReplicaState, ...] = ()
    failure: VersionFailure | None = None
    routed: bool = False  # a route names this hash (weight 0 counts)
    leased: bool = False  # a live rollout lease names it
    orphan_since: float | None = None  # neither routed nor leased since; swept after 10 minutes
    because: str = ""  # why the live count is what it is: the last scale's reason, if it gave one


class RouteState(Document):
    """GET /v1/services/{service}/route. Applied: the generation that every ready gateway has reported."""

    table: RouteTable
    applied: int


class Scale(Document):
    """PUT .../versions/{hash}/scale: the live count. `temporary`: may leave the bounds (proof where min is 0)."""

    replicas: int
    temporary: bool = False
    reason: str = ""  # kept as VersionState.because


class Lease(Document):
    """PUT .../versions/{hash}/lease: a rollout is under way; it ends by itself."""

    seconds: float


class TokenRecord(Document):
    """PUT /v1/services/{service}/token. The host keeps it 0600 and never logs it."""

    token: str = Field(repr=False)
    rotation: int = 1
    overlap_seconds: float = 600  # how long the token before this one stays valid


class Drift(Document):
    """GET /v1/drift: something that runs and that nothing declared names."""

    service: str
    hash: str
    text: str


class Problem(Document):
    """The body of every error answer of the admin API."""

    code: str  # StaleEpoch, NotFound, InUse, Invalid, ForeignState, PortBusy, Failed (the host cannot write)
    message: str


# What a gateway watches and reports ----------------------------------------------------------------------------------


class Endpoint(Document):
    """A replica that a gateway may send requests to. Not ready or draining: no new requests."""

    replica: str
    address: str  # unix:/path or http://host:port
    ready: bool
    draining: bool = False


class VersionView(Document):
    """What an autoscaler has to know of a version. It may scale one that is routed, not leased and not stopped."""

    bounds: Bounds
    scaling: Scaling
    live: int  # the live count as it is kept; what a scale changes
    leased: bool = False


class ServiceView(Document):
    """One service as a gateway sees it. No table: only requests that name a version by header are served."""

    table: RouteTable | None = None
    tokens: tuple[str, ...] = Field(default=(), repr=False)
    endpoints: dict[str, tuple[Endpoint, ...]] = Field(default_factory=dict)  # by version hash
    versions: dict[str, VersionView] = Field(default_factory=dict)  # by hash


class GatewayView(Document):
    """A line of GET /v1/watch (NDJSON, the whole view on every change, newest only if the reader is slow)."""

    incarnation: str
    revision: int
    services: dict[str, ServiceView] = Field(default_factory=dict)


class GatewayReport(Document):
    """POST /v1/gateway/report, on every applied change at once and each second."""

    gateway: str
    incarnation: str
    revision: int
    generations: dict[str, int] = Field(default_factory=dict)  # service -> generation applied
    in_flight: dict[str, int] = Field(default_factory=dict)  # replica -> requests in flight
