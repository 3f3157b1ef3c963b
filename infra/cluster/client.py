"""A stack on a cluster, for threads: the calls of `infra.place.Place`, with the exceptions of a local host's client.

Note: docs/designs/kubernetes-target.md
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from infra.cluster import namespace
from infra.cluster.connect import Connections
from infra.cluster.gateways import gateways
from infra.cluster.logs import follow_lines, text_of
from infra.cluster.namespace import NamespaceState
from infra.cluster.needs import Needs
from infra.cluster.problems import translated
from infra.cluster.reports import ready_gateways
from infra.cluster.routes import Routes
from infra.cluster.rows import epoch_of, owner_of
from infra.cluster.session import Session
from infra.cluster.tunnel import Tunnel
from infra.cluster.versions import Versions
from infra.hostclient import HostTimeout
from infra.place import Gateways
from runtime.contract.cluster import GATEWAY, GATEWAY_PORT, ClusterAddress, object_name
from runtime.contract.host import (
    Drift,
    GatewayState,
    HostInfo,
    RouteState,
    Scale,
    TokenRecord,
    VersionRecord,
    VersionState,
)
from runtime.contract.names import CONTRACT_VERSION, PREDICT_PREFIX
from runtime.contract.route import RouteTable
from runtime.kubeapi import KubeProblem

Result = TypeVar("Result")
POLL_SECONDS = 0.2
CALL_SECONDS = 120.0
"""Of one call, its tries and waits for other writers included."""


class ClusterClient:
    """One namespace of one cluster. May be shared between threads; clients of one namespace share what they know.

    `epoch` is checked at every write (None: not). Raises HostProblem, HostGone and HostTimeout.
    """

    poll_seconds = POLL_SECONDS

    def __init__(self, address: ClusterAddress, *, connections: Connections, epoch: int | None = None) -> None:
        self.address = address
        self.epoch = epoch
        self._pool, self.session = connections.of(address)
        self._routes, self._versions = _calls(self.session)

    def with_epoch(self, epoch: int) -> ClusterClient:
        """The same namespace, for writes."""
        other = object.__new__(ClusterClient)
        other.__dict__.update(self.__dict__)
        other.epoch = epoch
        return other

    def run(self, work: Coroutine[Any, Any, Result], timeout: float | None = None) -> Result:
        """A coroutine's result, with our exceptions."""
        limit = CALL_SECONDS if timeout is None else timeout
        try:
            return self._pool.run(work, timeout=limit)
        except KubeProblem as problem:
            raise translated(problem, self.address) from problem
        except TimeoutError as late:
            raise HostTimeout(f"the cluster's answer took longer than {limit:g} s") from late

    # The namespace ---------------------------------------------------------------------------------------------------

    def host(self, *, timeout: float | None = None) -> HostInfo:
        """The namespace's record, and whether its gateways are ready."""
        return self.run(self._host(), timeout)

    async def _host(self) -> HostInfo:
        record = await self.session.record(fresh=True)
        gateways = await self.session.follow("gateways")
        ready = ready_gateways(gateways.values())
        error = "" if ready else f"none of the {len(gateways)} pods of {GATEWAY} is ready"
        return HostInfo(
            contract=CONTRACT_VERSION,
            stack=owner_of(record),
            state_folder=str(self.address),
            pid=0,
            incarnation=str(record["metadata"].get("uid", "")),
            epoch=epoch_of(record),
            gateway=GatewayState(ready=bool(ready), error=error),
        )

    def gateway_url(self, *, timeout: float | None = None) -> str:
        """Where pods of the cluster reach the gateway."""
        return f"http://{GATEWAY}.{self.address.namespace}:{GATEWAY_PORT}"

    def endpoint(self, service: str, *, timeout: float | None = None) -> str:
        """The service's URL as its route keeps it, else the one inside the cluster."""
        kept = self.run(self._routes.url(service), timeout)
        inside = f"http://{object_name(service)}.{self.address.namespace}:{GATEWAY_PORT}{PREDICT_PREFIX}{service}"
        return kept or inside

    def gateways(self, *, timeout: float | None = None) -> Gateways:
        """Whether a gateway pod is ready, on its way, or cannot start."""
        return self.run(gateways(self.session, self._versions.looks), timeout)

    def way_to_gateway(self, url: str = "") -> AbstractContextManager[Tunnel]:
        """A local address whose connections go to a ready gateway."""
        return Tunnel(self._pool, self.session)

    def new_epoch(self, *, stack: str = "", timeout: float | None = None) -> int:
        """One higher than every epoch before. `stack`: who must own the namespace (empty: anybody)."""
        return self.run(self.session.new_epoch(stack), timeout)

    def drift(self, *, timeout: float | None = None) -> list[Drift]:
        """What runs and is declared by nothing."""
        return self.run(self._versions.drift(), timeout)

    def ensure_namespace(
        self,
        stack: str,
        *,
        pod_security: bool,
        needs: Needs | None = None,
        timeout: float | None = None,
    ) -> NamespaceState:
        """Make the namespace or adopt it, for the stack `project.stack`."""
        return self.run(namespace.ensure(self.session, stack, pod_security=pod_security, needs=needs), timeout)

    def namespace_state(self, *, timeout: float | None = None) -> NamespaceState:
        """What is there of the namespace. Absent: nothing of ours."""
        return self.run(namespace.look(self.session), timeout)

    def remove_namespace(self, stack: str, *, timeout: float | None = None) -> bool:
        """Take away what is ours, and the namespace when we made it: was it?"""
        return self.run(namespace.remove(self.session, stack), timeout)

    # Versions --------------------------------------------------------------------------------------------------------

    def versions(self, *, timeout: float | None = None) -> list[VersionState]:
        """All versions of all services."""
        return self.run(self._versions.states(), timeout)

    def version(self, service: str, hash: str, *, timeout: float | None = None) -> VersionState:
        """One version; its row may be two seconds old."""
        return self.run(self._versions.state(service, hash), timeout)

    def lacks(self, service: str, hash: str, *, timeout: float | None = None) -> str:
        """What of a version is gone beside its record, in words; empty when it is whole."""
        return self.run(self._versions.lacks(service, hash), timeout)

    def put_version(self, record: VersionRecord, *, timeout: float | None = None) -> VersionState:
        """Create, adopt or update the bounds of a version."""
        return self.run(self._versions.put(record, self.epoch), timeout)

    def delete_version(self, service: str, hash: str, *, timeout: float = 120) -> None:
        """Drain, stop and forget a version; returns when its pods are gone. Absent is fine."""
        self.run(self._versions.delete(service, hash, self.epoch), 2 * timeout)

    def scale(self, service: str, hash: str, scale: Scale, *, timeout: float | None = None) -> VersionState:
        """Set the live count; the Deployment follows."""
        return self.run(self._versions.scale(service, hash, scale, self.epoch), timeout)

    def lease(self, service: str, hash: str, seconds: float, *, timeout: float | None = None) -> VersionState:
        """Begin or renew a rollout's lease."""
        return self.run(self._versions.lease(service, hash, seconds, self.epoch), timeout)

    def end_lease(self, service: str, hash: str, *, timeout: float | None = None) -> None:
        """End a rollout's lease. Absent is fine."""
        self.run(self._versions.end_lease(service, hash, self.epoch), timeout)

    def drain(self, service: str, hash: str, *, timeout: float = 120) -> VersionState:
        """Wait until no request is in flight on it, at most its drain seconds."""
        return self.run(self._versions.drain(service, hash), timeout)

    def logs(self, service: str, hash: str, *, replica: str = "", tail: int = 200) -> str:
        """The last lines of a version's pods, or of one."""
        return self.run(text_of(self.session, self._versions, service, hash, replica=replica, tail=tail))

    def follow_logs(self, service: str, hash: str, *, replica: str = "", tail: int = 200) -> Iterator[str]:
        """The last lines, then new ones as they come, of new pods too, without their line ends."""
        lines = follow_lines(self.session, self._versions, service, hash, replica=replica, tail=tail)
        try:
            yield from self._pool.iterate(lines)
        except KubeProblem as problem:
            raise translated(problem, self.address) from problem

    # Route and token -------------------------------------------------------------------------------------------------

    def route(self, service: str, *, timeout: float | None = None) -> RouteState:
        """The route of a service."""
        return self.run(self._routes.state(service), timeout)

    def put_route(self, table: RouteTable, *, url: str = "", timeout: float | None = None) -> RouteState:
        """Write a route; the answer has its generation."""
        return self.run(self._routes.put(table, url, self.epoch), timeout)

    def wait_route(self, service: str, generation: int, *, seconds: float) -> RouteState:
        """Wait until every ready gateway has applied the generation; HostProblem `Invalid` when the time is over."""
        return self.run(self._routes.wait(service, generation, seconds), seconds + CALL_SECONDS)

    def delete_route(self, service: str, *, timeout: float | None = None) -> None:
        """Delete a route. Absent is fine."""
        self.run(self._routes.delete(service, self.epoch), timeout)

    def token(self, service: str, *, timeout: float | None = None) -> TokenRecord:
        """The token of a service."""
        return self.run(self._routes.token(service), timeout)

    def put_token(self, service: str, record: TokenRecord, *, timeout: float | None = None) -> TokenRecord:
        """Set a token; the answer is the one that holds (the first of a rotation wins)."""
        return self.run(self._routes.put_token(service, record, self.epoch), timeout)

    def delete_token(self, service: str, *, timeout: float | None = None) -> None:
        """Delete a token. Absent is fine."""
        self.run(self._routes.delete_token(service, self.epoch), timeout)


def _calls(session: Session) -> tuple[Routes, Versions]:
    """The calls of a session; clients that share a session share what its calls remember."""
    if session.calls is None:
        routes = Routes(session)
        session.calls = routes, Versions(session, routes)
    routes, versions = session.calls
    return routes, versions
