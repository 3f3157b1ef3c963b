"""What the plan says: plain frozen data, printed by the CLI, executed by the components."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from runtime.contract.replica import Limits, Wire
from runtime.contract.version import Bounds, Method, VersionTemplate

NO_LIMITS = Limits()
DEFAULT_WIRE = Wire()
ONE = Bounds()


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
class VersionPlan:
    """One version: its identity, what starts, how much memory each replica needs."""

    name: str
    hash: str
    template: VersionTemplate
    bounds: Bounds
    terms: tuple[Term, ...] = ()
    placed: str = ""  # "this machine", an instance type, a group


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
    findings: tuple[Finding, ...] = field(default=())

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
