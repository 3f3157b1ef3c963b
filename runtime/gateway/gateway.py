"""What the gateway knows and holds: the newest view, a balancer per service, a pool per replica."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from runtime.contract.activity import GatewayActivity
from runtime.contract.host import GatewayReport, GatewayView
from runtime.gateway.autoscale.rules import Decision
from runtime.gateway.balancer import Balancer, Slot
from runtime.gateway.pool import ReplicaPool, parse_address
from runtime.gateway.record import Records


class Gateway:
    """The state of one gateway process."""

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop, records: Records) -> None:
        self.name = name
        self.records = records
        self.view: GatewayView | None = None
        self.viewed = asyncio.Event()  # the first view is there
        self.services: dict[str, Balancer] = {}
        self.draining = False
        self.stopping = asyncio.Event()  # set once: from now on this gateway is not ready any more
        self.replica_lines = b""  # header lines that every request to a replica gets
        self.decisions: dict[tuple[str, str], Decision] = {}  # the autoscaler's last, by service and hash
        self._loop = loop
        self._clock: Callable[[], float] = loop.time
        self._leaving: list[Balancer] = []  # removed services with requests in flight
        self._pools: dict[str, ReplicaPool] = {}

    def apply(self, view: GatewayView) -> None:
        """Take a new view at once: replicas and routes change in memory, nothing is reloaded.

        Raises ValueError for an endpoint's address that nobody understands; then nothing has changed.
        """
        for service in view.services.values():
            for endpoints in service.endpoints.values():
                for endpoint in endpoints:
                    parse_address(endpoint.address)
        self.view = view
        self.viewed.set()
        for name, service in view.services.items():
            balancer = self.services.get(name)
            if balancer is None:
                self.services[name] = Balancer(name, service, self._clock)
            elif balancer.view != service:
                balancer.apply(service)
        for name in [name for name in self.services if name not in view.services]:
            balancer = self.services.pop(name)
            balancer.remove()
            self._leaving.append(balancer)
        self.sweep()

    def pool(self, slot: Slot) -> ReplicaPool:
        """The connections to a replica."""
        address = slot.endpoint.address
        pool = self._pools.get(address)
        if pool is None:
            pool = self._pools[address] = ReplicaPool(address, self._loop)
        return pool

    def sweep(self) -> None:
        """Close connections to replicas that have left, and those that have been idle for too long."""
        self._leaving = [balancer for balancer in self._leaving if not balancer.idle]
        known = {
            endpoint.address
            for balancer in self.services.values()
            for endpoints in balancer.view.endpoints.values()
            for endpoint in endpoints
        }
        for address in [address for address in self._pools if address not in known]:
            self._pools.pop(address).close()
        for pool in self._pools.values():
            pool.sweep()

    def stop(self) -> None:
        """Say from now on that this gateway is not ready."""
        self.draining = True
        self.stopping.set()

    def in_flight(self) -> int:
        """Requests inside the gateway."""
        return sum(balancer.in_flight for balancer in (*self.services.values(), *self._leaving))

    def report(self) -> GatewayReport | None:
        """What this gateway has applied and does; None before the first view."""
        if self.view is None:
            return None
        in_flight: dict[str, int] = {}
        for balancer in (*self.services.values(), *self._leaving):
            for replica, count in balancer.in_flight_by_replica().items():
                in_flight[replica] = in_flight.get(replica, 0) + count
        return GatewayReport(
            gateway=self.name,
            incarnation=self.view.incarnation,
            revision=self.view.revision,
            generations={
                name: service.table.generation for name, service in self.view.services.items() if service.table
            },
            in_flight=in_flight,
        )

    def busy(self) -> set[tuple[str, str]]:
        """Service and hash of the versions with requests in flight, those that have left the view included."""
        return {
            (balancer.name, digest)
            for balancer in (*self.services.values(), *self._leaving)
            for digest, counts in balancer.counts().items()
            if counts.in_flight
        }

    def activity(self) -> GatewayActivity:
        """What this gateway sees of each version."""
        return GatewayActivity(
            gateway=self.name, services={name: balancer.counts() for name, balancer in self.services.items()}
        )
