"""What runs now: gathered from the host, as JSON data, as text. The last two are pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from infra.cli.client import by_service
from infra.hostclient import Absent
from infra.place import Place
from runtime.contract.host import Drift, HostInfo, ReplicaState, RouteState, VersionState
from runtime.contract.phases import Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The host's answers, by service."""

    host: HostInfo
    services: Mapping[str, list[VersionState]]
    routes: Mapping[str, RouteState]
    endpoints: Mapping[str, str] = field(default_factory=dict)
    drift: tuple[Drift, ...] = ()

    def only(self, service: str) -> Status:
        """The same about one service."""
        drift = tuple(each for each in self.drift if each.service == service)
        return replace(self, services={service: self.services[service]}, drift=drift)


def gather(host: Place) -> Status:
    """Ask the host for everything; raises what the client raises."""
    services = by_service(host.versions())
    routes: dict[str, RouteState] = {}
    for service in services:
        with suppress(Absent):
            routes[service] = host.route(service)
    return Status(
        host=host.host(),
        services=services,
        routes=routes,
        endpoints={service: host.endpoint(service) for service in services},
        drift=tuple(host.drift()),
    )


def as_data(status: Status, *, stack: str) -> dict[str, Any]:
    """JSON data for machines. Environment variables of a version are left out: they may hold secrets."""
    return {
        "stack": stack,
        "host": status.host.to_data(),
        "services": {service: _service(status, service) for service in status.services},
        "drift": [each.to_data() for each in status.drift],
    }


def _service(status: Status, service: str) -> dict[str, Any]:
    route = status.routes.get(service)
    return {
        "endpoint": _endpoint(status, service) or None,
        "state": state(status, service),
        "method": route.table.method.value if route else None,
        "stopped": route.table.stopped if route else False,
        "generation": route.table.generation if route else None,
        "applied": route.applied if route else None,
        "traffic": {name: each.weight for name, each in route.table.versions.items()} if route else {},
        "versions": [_version(each, _weight(route, each)) for each in status.services[service]],
    }


def _version(version: VersionState, weight: int | None) -> dict[str, Any]:
    data = version.to_data()
    record = data.pop("record")
    template = record["template"]
    return {
        "name": record["name"],
        "hash": record["hash"],
        "model": (template.get("model") or {}).get("name"),
        "engine": template["engine"],
        "bounds": record["bounds"],
        "weight": weight,
        "ready": sum(each.ready for each in version.replicas),
        **data,
    }


def state(status: Status, service: str) -> str:
    """One word for a service: stopped, not routed, serving, asleep, starting or down."""
    route, versions = status.routes.get(service), status.services[service]
    if route is None:
        return "not routed"
    if route.table.stopped:
        return "stopped"
    routed = {each.hash for each in route.table.versions.values() if each.weight > 0}
    mine = [each for each in versions if each.record.hash in routed]
    awake = [each for each in mine if each.wanted or each.replicas]
    if mine and not awake:
        return "asleep"
    if awake and all(any(replica.ready for replica in each.replicas) for each in awake):
        return "serving"
    return "down" if any(each.failure for each in mine) else "starting"


def as_text(status: Status, *, now: float) -> str:
    """Text for a terminal: a line per service, version and replica, then failures and drift. `now` is Unix seconds."""
    return "\n".join(_lines(status, now)) + "\n"


def _lines(status: Status, now: float) -> Iterator[str]:
    gateway = status.host.gateway
    if not gateway.ready:
        yield f"gateway: not ready{': ' + gateway.error if gateway.error else ''}"
    if not status.services:
        yield "nothing is deployed: run `pulumi up`"
    for service, versions in status.services.items():
        route = status.routes.get(service)
        method = f"  {route.table.method.value}" if route else ""
        yield f"{service}  {state(status, service)}{method}  {_endpoint(status, service) or 'no endpoint'}"
        if route and route.applied < route.table.generation:
            yield f"  the gateway has yet to apply route generation {route.table.generation} (at {route.applied})"
        for version in versions:
            yield from _version_lines(version, _weight(route, version), now)
    for drift in status.drift:
        yield f"drift: {drift.service} {drift.hash}: {drift.text}"


def _version_lines(version: VersionState, weight: int | None, now: float) -> Iterator[str]:
    record, ready = version.record, sum(each.ready for each in version.replicas)
    traffic = (
        f"{weight}% of traffic" if weight is not None else "leased by a rollout" if version.leased else "not routed"
    )
    bounds = f"{record.bounds.min}..{record.bounds.max}"
    model = record.template.model.name if record.template.model else record.template.engine or "process"
    counts = f"{ready} of {version.wanted} wanted ready (bounds {bounds})"
    yield f"  {record.name} {record.hash}  {model}  {traffic}  {counts}"
    if version.because and record.bounds.min != record.bounds.max:
        yield f"    scaled: {version.because}"
    for replica in version.replicas:
        yield f"    {_replica(replica, now)}"
    if version.failure:
        yield f"    failed in phase {version.failure.phase.value}: {version.failure.reason}"
        yield from (f"      | {line}" for line in version.failure.log_tail[-5:])


def _replica(replica: ReplicaState, now: float) -> str:
    phase = "ready" if replica.ready and replica.phase in (Phase.FIRST_TOKEN, Phase.READY) else replica.phase.value
    parts = [replica.replica, f"{phase} {_span(now - replica.since)}"]
    parts += [f"pid {replica.pid}"] if replica.pid else []
    parts += [f"{replica.restarts} restarts"] if replica.restarts else []
    parts += [text for text in (replica.detail, replica.error) if text]
    return "  ".join(parts)


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{max(0, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _weight(route: RouteState | None, version: VersionState) -> int | None:
    if route is None:
        return None
    return next((each.weight for each in route.table.versions.values() if each.hash == version.record.hash), None)


def _endpoint(status: Status, service: str) -> str:
    return status.endpoints.get(service, "")
