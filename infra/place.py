"""What a stack's place can do, wherever it is: the calls that the plugin and the command share.

`infra.hostclient.HostClient` asks a local host, `infra.cluster.ClusterClient` a Kubernetes API server.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from runtime.contract.host import Drift, HostInfo, RouteState, Scale, TokenRecord, VersionRecord, VersionState
from runtime.contract.route import RouteTable


class Way(Protocol):
    """A way to a gateway. `url`: its base, `http://HOST:PORT`; `problem`: why the last connection failed, if known."""

    url: str
    problem: str


@dataclass(frozen=True)
class Gateways:
    """How a place's gateways are. Both texts empty: one is ready, or there is none that one could wait for."""

    starting: str = ""
    """What they wait for: `0 of 2 pods ... are ready (pulling image ...)`."""
    failure: str = ""
    """Why none will be ready, and the last lines that one wrote."""
    log_tail: tuple[str, ...] = ()


class Place(Protocol):
    """Rows of versions, routes and tokens, and what runs for them.

    Every call raises HostProblem (code NotFound, InUse, Invalid, StaleEpoch or Forbidden), HostGone when the place
    cannot be reached and HostTimeout when it does not answer in time. `timeout` is in seconds; None: the client's own.
    """

    @property
    def poll_seconds(self) -> float:
        """How often `version` may be asked while something is waited for."""

    def host(self, *, timeout: float | None = None) -> HostInfo:
        """Who is there."""

    def gateway_url(self, *, timeout: float | None = None) -> str:
        """`http://HOST:PORT` of the gateway, from where the services' clients are; empty while there is none."""

    def gateways(self, *, timeout: float | None = None) -> Gateways:
        """Whether a gateway is ready, on its way, or cannot start."""

    def way_to_gateway(self, url: str = "") -> AbstractContextManager[Way]:
        """A way from here, while the context lasts. `url`: what is declared, for places that need no other way."""

    def endpoint(self, service: str, *, timeout: float | None = None) -> str:
        """The URL of a service; empty while there is no gateway."""

    def new_epoch(self, *, timeout: float | None = None) -> int:
        """Ask for an epoch, which makes all older ones stale. The client does not take it by itself."""

    def drift(self, *, timeout: float | None = None) -> list[Drift]:
        """What runs and is declared by nothing."""

    def versions(self, *, timeout: float | None = None) -> list[VersionState]:
        """All versions of all services."""

    def version(self, service: str, hash: str, *, timeout: float | None = None) -> VersionState:
        """One version."""

    def lacks(self, service: str, hash: str, *, timeout: float | None = None) -> str:
        """What of a version is gone beside its record, in words; empty when it is whole."""

    def put_version(self, record: VersionRecord, *, timeout: float | None = None) -> VersionState:
        """Create, adopt or update the bounds of a version."""

    def delete_version(self, service: str, hash: str, *, timeout: float = 120) -> None:
        """Drain, stop and forget a version; returns when it is gone. Absent is fine."""

    def scale(self, service: str, hash: str, scale: Scale, *, timeout: float | None = None) -> VersionState:
        """Set the live count."""

    def lease(self, service: str, hash: str, seconds: float, *, timeout: float | None = None) -> VersionState:
        """Begin or renew a rollout's lease."""

    def end_lease(self, service: str, hash: str, *, timeout: float | None = None) -> None:
        """End a rollout's lease. Absent is fine."""

    def drain(self, service: str, hash: str, *, timeout: float = 120) -> VersionState:
        """Wait until no request is in flight on it, at most its drain seconds."""

    def logs(self, service: str, hash: str, *, replica: str = "", tail: int = 200) -> str:
        """The last lines of a version's replicas, or of one."""

    def follow_logs(self, service: str, hash: str, *, replica: str = "", tail: int = 200) -> Iterator[str]:
        """The last lines, then new ones as they come, without their line ends."""

    def route(self, service: str, *, timeout: float | None = None) -> RouteState:
        """The route of a service."""

    def put_route(self, table: RouteTable, *, url: str = "", timeout: float | None = None) -> RouteState:
        """Write a route; the answer has its generation. `url`: the service's, where the place cannot know it."""

    def wait_route(self, service: str, generation: int, *, seconds: float) -> RouteState:
        """Wait until every ready gateway has applied the generation; HostProblem `Invalid` when the time is over."""

    def delete_route(self, service: str, *, timeout: float | None = None) -> None:
        """Delete a route. Absent is fine."""

    def token(self, service: str, *, timeout: float | None = None) -> TokenRecord:
        """The token of a service."""

    def put_token(self, service: str, record: TokenRecord, *, timeout: float | None = None) -> TokenRecord:
        """Set a token; the answer is the one that holds (the first of a rotation wins)."""

    def delete_token(self, service: str, *, timeout: float | None = None) -> None:
        """Delete a token. Absent is fine."""
