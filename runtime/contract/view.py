"""What gateways serve, from the rows of a target and its replicas. Pure: the same on every target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from runtime.contract import wanted
from runtime.contract.desired import Token, Version
from runtime.contract.host import Endpoint, ServiceView, VersionView
from runtime.contract.route import RouteTable


def build_services(
    versions: Iterable[Version],
    routes: Mapping[str, RouteTable],
    tokens: Mapping[str, Token],
    endpoints: Mapping[tuple[str, str], tuple[Endpoint, ...]],
    now: float,
) -> dict[str, ServiceView]:
    """Every service that has a version or a route. A version without replicas has no endpoint, but it is known."""
    hashes: dict[str, dict[str, tuple[Endpoint, ...]]] = {service: {} for service in sorted(routes)}
    scales: dict[str, dict[str, VersionView]] = {}
    for version in versions:
        service, digest = version.key
        hashes.setdefault(service, {})[digest] = endpoints.get(version.key, ())
        if not version.deleting:
            scales.setdefault(service, {})[digest] = VersionView(
                bounds=version.record.bounds,
                scaling=version.record.scaling,
                live=version.live,
                leased=wanted.is_leased(version, now),
            )
    return {
        service: ServiceView(
            table=routes.get(service),
            tokens=tokens[service].valid(now) if service in tokens else (),
            endpoints=by_hash,
            versions=scales.get(service, {}),
        )
        for service, by_hash in hashes.items()
    }
