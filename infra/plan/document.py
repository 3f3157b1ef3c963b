"""What the plan says: plain frozen data, printed by the CLI, executed by the components."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from infra.measured import Measured
from runtime.contract.replica import Limits, Wire
from runtime.contract.scaling import Scaling
from runtime.contract.version import Bounds, Method, VersionTemplate

NO_LIMITS = Limits()
DEFAULT_WIRE = Wire()
ONE = Bounds()
AS_USUAL = Scaling()


class Level(StrEnum):
    """How bad a finding is. An error stops a preview."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing the plan has to say. `rule` is an id with a section in docs/findings.md, e.g. `fit-memory`."""

    level: Level
    rule: str
    path: str  # in the stack file, e.g. services.chat.versions.v1.context
    text: str
    fix: str = ""  # the smallest change that passes


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One named part of a sum of bytes; `note` says how it was reached."""

    name: str
    bytes: int
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseClocks:
    """Seconds that each phase of a rollout may take (`rollout.timeouts`)."""

    schedule: float = 600
    image: float = 900
    weights: float = 1800
    engine: float = 900
    first_token: float = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutPlan:
    """How the versions of a service are replaced, and why."""

    strategy: Literal["surge", "recreate"]
    reason: str
    surge: int = 1
    clocks: PhaseClocks = PhaseClocks()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What the devices of a version could hold at the most, one at a time."""

    context: int  # at the version's concurrency
    concurrency: int  # at the version's context


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where the replicas of a version run on a cluster, and why there."""

    instance_type: str
    gpus: int = 0  # per replica
    gpu_fraction: float | None = None
    tensor: int = 1
    pipeline: int = 1
    cpus: float = 0  # requested per replica
    memory_gib: float = 0  # requested per replica
    slots: int = 0  # what a replica takes of a node, in hundredths of a GPU (of a core without GPUs)
    node_slots: int = 0  # what a node has
    room_bytes: int = 0  # what a device offers; the terms must stay below it
    group: str = ""
    quota: str = ""
    why: str = ""
    runners_up: tuple[str, ...] = ()
    reach: Reach | None = None
    chosen: bool = False  # by the plan, among public types: the lock file pins it


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """US dollars per hour at minimum and maximum replicas. None: a price is unknown."""

    min_per_hour: float | None
    max_per_hour: float | None
    note: str = ""

    def monthly(self) -> tuple[float | None, float | None]:
        """The same for a month of 730 hours."""
        low, high = self.min_per_hour, self.max_per_hour
        return None if low is None else low * 730, None if high is None else high * 730


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseEstimate:
    """Seconds that one phase of a start is expected to take; `note` says from what."""

    phase: str
    seconds: float
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStart:
    """From nothing to the first token, estimated. What a run recorded is the version's `measured`."""

    phases: tuple[PhaseEstimate, ...]

    @property
    def seconds(self) -> float:
        """All phases together."""
        return sum(each.seconds for each in self.phases)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who takes how much of a limit at its maximum."""

    name: str  # service/version
    amount: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Headroom:
    """One limit of a group or quota: what is allowed, taken at maximum replicas, and added by the largest rollout."""

    owner: str  # resourceGroups.a10, quotas.nlp
    resource: str  # nodes, gpus, gpuMemoryGiB, cpus, memoryGiB, usdPerHour
    limit: float
    used: float
    peak: float
    holders: tuple[Holder, ...] = ()
    verdict: str = ""  # groups: always fits | fits if packed well | never fits

    @property
    def left(self) -> float:
        """What is left at the peak; below zero it is exceeded."""
        return self.limit - self.peak


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionPlan:
    """One version: its identity, what starts, how much memory each replica needs."""

    name: str
    hash: str
    template: VersionTemplate
    bounds: Bounds
    scaling: Scaling = AS_USUAL
    terms: tuple[Term, ...] = ()
    placed: str = ""  # "this machine", an instance type, a group
    placement: Placement | None = None  # clusters only
    cost: Cost | None = None  # clusters only
    cold_start: ColdStart | None = None
    measured: Measured | None = None  # of this very version at such a place; it decides nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePlan:
    """One service: its versions and everything that its Route and Token need."""

    name: str
    method: Method
    versions: tuple[VersionPlan, ...]
    traffic: Mapping[str, int]  # version name -> percent, sums to 100
    limits: Limits = NO_LIMITS
    auth: Literal["token", "none"] = "token"
    wire: Wire = DEFAULT_WIRE
    webui: bool = False
    knowledge: str | None = None
    stopped: bool = False
    token_rotation: int = 1
    token_overlap_seconds: float = 600
    rollout: RolloutPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The whole answer for one stack file."""

    target: str  # local | kubernetes | eks
    services: tuple[ServicePlan, ...]
    image: str | None = None  # clusters: of the gateway
    findings: tuple[Finding, ...] = field(default=())
    headroom: tuple[Headroom, ...] = ()
    costs: Mapping[str, Cost] = field(default_factory=dict)  # services.NAME, quotas.NAME, resourceGroups.NAME, stack
    cost_difference: Cost | None = None  # against what serves now; None: that is unknown
    cost_notes: tuple[str, ...] = ()  # dates of prices and exchange rates that were used

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that stop a preview."""
        return tuple(finding for finding in self.findings if finding.level is Level.ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedVersion:
    """A version that serves now, as the Route resources in the stack's state (or another revision) know it."""

    name: str
    hash: str
    bounds: Bounds = ONE
    usd_per_hour: float | None = None  # of one replica; None: unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """What serves now, by service."""

    services: Mapping[str, tuple[DeployedVersion, ...]] = field(default_factory=dict)
