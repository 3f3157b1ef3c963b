"""What commands ask the host of a stack, and how services are found by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from infra.cli.failure import Failure, at_end
from infra.cli.project import Here
from infra.hostclient import HostClient
from infra.place import Place
from runtime.contract.host import VersionState


def connect(here: Here, *, timeout: float = 10) -> Place:
    """The client of this stack's host, or of its namespace; whether anybody answers shows with the first call."""
    if (address := here.cluster) is not None:
        from infra.cluster import ClusterClient, Connections  # late: a local stack needs none of it

        connections = Connections()
        at_end(connections.close)
        return ClusterClient(address, connections=connections)
    return HostClient.of_state(here.state, timeout=timeout)


def endpoint(host: Place, service: str) -> str:
    """The URL of a service."""
    if url := host.endpoint(service):
        return url
    raise Failure("the host has no gateway yet", "run `pulumi up`")


def by_service(versions: Iterable[VersionState]) -> dict[str, list[VersionState]]:
    """Versions grouped by service, both sorted by name."""
    groups: dict[str, list[VersionState]] = {}
    for version in sorted(versions, key=lambda each: (each.record.service, each.record.name, each.record.hash)):
        groups.setdefault(version.record.service, []).append(version)
    return groups


def known_service(service: str, services: Iterable[str], *, state: str = "deployed") -> str:
    """The service, or a Failure that names the nearest."""
    known = sorted(services)
    if service in known:
        return service
    near = difflib.get_close_matches(service, known, n=1)
    hint = (
        f"did you mean {near[0]}?"
        if near
        else f"{state}: {', '.join(known)}"
        if known
        else "nothing is deployed: run `pulumi up`"
    )
    raise Failure(f"no service {service} is {state}", hint)
