"""What every gateway can tell an autoscaler of the cluster, whichever of them it asks: the sums over all of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from runtime.contract.host import Endpoint, GatewayView, VersionView
from runtime.contract.scaling import ScaleMetric
from runtime.gateway.autoscale.driver import LOOK_SECONDS, ready_of
from runtime.gateway.autoscale.ledger import Key, Ledger
from runtime.gateway.autoscale.measure import OBSERVE_SECONDS, Sample, measure, recent, waiting
from runtime.gateway.autoscale.ports import ActivitySource
from runtime.gateway.autoscale.queues import waiting_inside
from runtime.gateway.autoscale.total import total
from runtime.gateway.gateway import Gateway


@dataclass(frozen=True)
class Total:
    """One version's number, of all its replicas. None: not known yet."""

    metric: ScaleMetric
    value: float | None


class Totals:
    """Looks once a second, and only while a version belongs to an autoscaler of the cluster."""

    def __init__(
        self,
        gateway: Gateway,
        source: ActivitySource,
        *,
        clock: Callable[[], float] = time.monotonic,
        queues: Callable[[Sequence[Endpoint]], Awaitable[int | None]] = waiting_inside,
    ) -> None:
        self._gateway, self._source, self._clock, self._queues = gateway, source, clock, queues
        self._ledger = Ledger()
        self._samples: dict[Key, tuple[Sample, ...]] = {}
        self._since: dict[Key, float] = {}
        self.known: Mapping[Key, Total] = {}
        """By service and hash: every version that an autoscaler of the cluster may ask for."""

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            begun = self._clock()
            await self.look()
            await asyncio.sleep(max(0.0, begun + LOOK_SECONDS - self._clock()))

    async def look(self) -> None:
        """Ask all gateways and add up. A number is told once it was watched for OBSERVE_SECONDS."""
        view = self._gateway.view
        versions = _measured(view) if view is not None else {}
        if view is None or not versions:
            self._samples, self._since, self.known, self._ledger = {}, {}, {}, Ledger()
            return
        others = await self._source.others()
        now = self._clock()
        samples = self._ledger.take([self._gateway.activity(), *others], versions, now)
        known: dict[Key, Total] = {}
        for key, version in versions.items():
            target = version.scaling.target
            assert target is not None
            sample, ready = samples[key], ready_of(view, key)
            if target.metric is ScaleMetric.QUEUE:
                sample = replace(sample, queue=await self._queues(ready))
            before = self._samples.get(key, ())
            samples[key] = sample
            seen = measure(recent(before, sample))
            wakes = waiting(before[-1] if before else None, sample)
            value = total(version.scaling, seen, ready=len(ready), waiting=wakes)
            watched = now - self._since.get(key, now) >= OBSERVE_SECONDS
            known[key] = Total(target.metric, value if watched or (wakes and not ready) else None)
        self._since = {key: self._since.get(key, now) for key in versions}
        self._samples = {key: recent(self._samples.get(key, ()), samples[key]) for key in versions}
        self.known = known


def _measured(view: GatewayView) -> dict[Key, VersionView]:
    return {
        (name, digest): version
        for name, service in view.services.items()
        for digest, version in service.versions.items()
        if version.scaling.by != "gateway" and version.scaling.target is not None
    }
