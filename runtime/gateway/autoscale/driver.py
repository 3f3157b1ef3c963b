"""Looks once a second at every version that this gateway scales, and has its count changed.

One gateway of a target runs it: the only one on local, the leader on a cluster, which starts `run` when it begins to
lead and cancels it when it no longer does. A driver that starts knows nothing: the count that it finds stands for a
whole `down_seconds`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from runtime.contract.host import Endpoint, GatewayView, VersionView
from runtime.contract.scaling import ScaleMetric
from runtime.gateway.autoscale.ledger import Key, Ledger
from runtime.gateway.autoscale.ports import ActivitySource, Alone, ScaleFailed, Scaler
from runtime.gateway.autoscale.queues import waiting_inside
from runtime.gateway.autoscale.rules import Decision, Memory, owned, step
from runtime.gateway.gateway import Gateway

LOOK_SECONDS = 1.0
AGAIN_SECONDS = 5.0
"""A count that was asked for and does not show is asked for again after so long."""
BATCH = 50
"""Versions between two chances for requests to go on: a look at thousands must not be felt."""
_logger = logging.getLogger(__name__)


class Autoscaler:
    """Drives the rules for one gateway. `clock` is monotonic seconds, `utc` Unix seconds."""

    def __init__(
        self,
        gateway: Gateway,
        scaler: Scaler,
        source: ActivitySource | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        utc: Callable[[], float] = time.time,
        queues: Callable[[Sequence[Endpoint]], Awaitable[int | None]] = waiting_inside,
    ) -> None:
        self._gateway = gateway
        self._scaler = scaler
        self._source = source or Alone()
        self._clock, self._utc, self._queues = clock, utc, queues
        self._view: GatewayView | None = None
        self._owned: dict[Key, VersionView] = {}  # of that view
        self._ledger = Ledger()
        self._memories: dict[Key, Memory] = {}
        self._asked: dict[Key, tuple[int, float]] = {}  # what was asked for last, and when
        self._failing: set[Key] = set()

    async def run(self) -> None:
        """Look until cancelled."""
        try:
            while True:
                begun = self._clock()
                await self.look()
                await asyncio.sleep(max(0.0, begun + LOOK_SECONDS - self._clock()))
        finally:
            self._gateway.decisions = {}

    async def look(self) -> None:
        """Decide about every version and have changed what should change."""
        view = self._gateway.view
        if view is not self._view:
            self._view, self._owned = view, _owned(view) if view is not None else {}
        owned_now = self._owned if not self._gateway.draining else {}
        self._memories = {key: memory for key, memory in self._memories.items() if key in owned_now}
        self._failing &= set(owned_now)
        if view is None or not owned_now:
            self._gateway.decisions = {}
            return
        others = await self._source.others()
        samples = self._ledger.take([self._gateway.activity(), *others], owned_now, self._clock())
        for key, version in owned_now.items():
            target = version.scaling.target
            if target is not None and target.metric is ScaleMetric.QUEUE:
                samples[key] = replace(samples[key], queue=await self._queues(ready_of(view, key)))
        minute = datetime.fromtimestamp(self._utc(), UTC).replace(second=0, microsecond=0)
        decisions: dict[Key, Decision] = {}
        for number, (key, version) in enumerate(owned_now.items(), 1):
            if number % BATCH == 0:
                await asyncio.sleep(0)
            memory = self._memories.get(key)
            ready = len(ready_of(view, key))
            self._memories[key], decisions[key] = step(memory, version, ready=ready, sample=samples[key], utc=minute)
        self._gateway.decisions = decisions
        moving = [key for key in owned_now if decisions[key].replicas != owned_now[key].live]
        self._asked = {key: self._asked[key] for key in moving if key in self._asked}
        await asyncio.gather(*(self._follow(key, owned_now[key], decisions[key]) for key in moving))

    async def _follow(self, key: Key, version: VersionView, decision: Decision) -> None:
        now, (service, digest) = self._clock(), key
        count, at = self._asked.get(key, (version.live, now))
        if count == decision.replicas and now < at + AGAIN_SECONDS:
            return
        self._asked[key] = decision.replicas, now
        try:
            await self._scaler.scale(service, digest, decision.replicas, decision.reason)
        except ScaleFailed as error:
            if key not in self._failing:
                self._failing.add(key)
                _logger.warning("%s/%s: not scaled to %d: %s", service, digest, decision.replicas, error)
            return
        self._failing.discard(key)
        _logger.info("%s/%s: %d -> %d: %s", service, digest, version.live, decision.replicas, decision.reason)


def _owned(view: GatewayView) -> dict[Key, VersionView]:
    return {
        (name, digest): version
        for name, service in view.services.items()
        for digest in service.versions
        if (version := owned(service, digest)) is not None
    }


def ready_of(view: GatewayView, key: Key) -> list[Endpoint]:
    """The replicas of a version that take requests."""
    service, digest = key
    found = view.services[service].endpoints.get(digest, ())
    return [endpoint for endpoint in found if endpoint.ready and not endpoint.draining]
