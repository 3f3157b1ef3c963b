"""From the objects of a namespace to the view that the gateway serves. Pure but for its memory of what was readable."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from runtime.contract.cluster import PART, PART_GATEWAY, PART_VERSION, TOKENS
from runtime.contract.desired import Version
from runtime.contract.host import GatewayView, ServiceView
from runtime.contract.replica import Limits
from runtime.contract.route import RouteTable
from runtime.contract.view import build_services
from runtime.gateway.cluster.objects import Pod, Rows, endpoints_of, pods_of, replica_key
from runtime.kubeapi import Object

Objects = Mapping[str, Object]


@dataclass(frozen=True)
class Snapshot:
    """The objects of one moment, each kind by name."""

    versions: Objects = field(default_factory=dict)  # ConfigMaps
    routes: Objects = field(default_factory=dict)  # ConfigMaps
    secrets: Objects = field(default_factory=dict, repr=False)
    slices: Objects = field(default_factory=dict)  # EndpointSlices of versions and of the gateway
    deployments: Objects = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """What a snapshot says."""

    versions: dict[str, Version]  # by the name of their objects
    routes: dict[str, RouteTable]  # by service, with undivided limits
    services: dict[str, ServiceView]
    gateways: dict[str, Pod]  # by name
    replica_key: bytes = field(repr=False)

    @property
    def ready_gateways(self) -> int:
        """How many gateways share the services' limits; this one is at least one."""
        return max(1, sum(pod.ready and not pod.draining for pod in self.gateways.values()))


class Eyes:
    """Reads snapshots."""

    def __init__(self) -> None:
        self._rows = Rows()

    def see(self, snapshot: Snapshot, now: float) -> Seen:
        """What this moment says; `now` is Unix seconds (a token's overlap, a lease)."""
        secret = snapshot.secrets.get(TOKENS)
        versions, routes = self._rows.versions(snapshot.versions), self._rows.routes(snapshot.routes)
        gateways = pods_of(_part(snapshot.slices, PART_GATEWAY))
        seen = Seen(versions, routes, {}, gateways, replica_key(secret))
        seen.services.update(
            build_services(
                versions.values(),
                {service: shared(table, seen.ready_gateways) for service, table in routes.items()},
                self._rows.tokens(secret),
                endpoints_of(_part(snapshot.slices, PART_VERSION)),
                now,
            )
        )
        return seen


class View:
    """The newest view of this process; its revision counts its changes."""

    def __init__(self, incarnation: str) -> None:
        self.current = GatewayView(incarnation=incarnation, revision=0)

    def update(self, services: dict[str, ServiceView]) -> bool:
        """Take the services; True when they differ from what was there, and the first time."""
        if self.current.revision and services == self.current.services:
            return False
        self.current = GatewayView(
            incarnation=self.current.incarnation, revision=self.current.revision + 1, services=services
        )
        return True


def shared(table: RouteTable, gateways: int) -> RouteTable:
    """The table with this gateway's part of the limits: requests are spread evenly over the ready gateways.

    Rates are divided; what counts requests in flight is divided and rounded up, so that 1 stays possible.
    """
    if gateways <= 1:
        return table
    limits = table.limits
    part = Limits(
        **{
            **limits.model_dump(),
            "qps": limits.qps / gateways,
            "qps_per_replica": limits.qps_per_replica / gateways,
            "concurrency": math.ceil(limits.concurrency / gateways),
            "queue": math.ceil(limits.queue / gateways),  # a replica's own is whole: what waited must not overflow it
        }
    )
    return table.model_copy(update={"limits": part})


def _part(objects: Objects, part: str) -> list[Object]:
    return [each for each in objects.values() if (each["metadata"].get("labels") or {}).get(PART) == part]
