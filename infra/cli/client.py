"""What commands ask the host of a stack, and how services are found by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from infra.cli.failure import Failure
from infra.cli.project import Here
from infra.hostclient import HostClient
from runtime.contract.host import HostInfo, VersionState
from runtime.contract.names import PREDICT_PREFIX


def connect(here: Here, *, timeout: float = 10) -> HostClient:
    """The client of this stack's host; whether anybody answers shows with the first call."""
    return HostClient.of_state(here.state, timeout=timeout)


def base_url(info: HostInfo) -> str:
    """`http://HOST:PORT` of the gateway."""
    settings = info.gateway.settings
    if settings is None:
        raise Failure("the host has no gateway yet", "run `pulumi up`")
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)
    return f"http://{host}:{settings.port}"


def endpoint(info: HostInfo, service: str) -> str:
    """The URL of a service."""
    return f"{base_url(info)}{PREDICT_PREFIX}{service}"


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
