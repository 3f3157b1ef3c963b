"""Leads while this gateway holds the Lease; hands it back when told to stop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from runtime.contract.cluster import LEADER, MANAGED_BY, PART, PART_GATEWAY
from runtime.gateway.cluster.lease import GIVE_UP_SECONDS, RENEW_SECONDS, Sighting, is_free, released, sighting, taken
from runtime.kubeapi import LEASES, AlreadyExists, Conflict, KubeClient, KubeProblem, NotFound, Object

CALL_SECONDS = 4.0
"""For reading and writing the Lease: less than what is left between a missed renewal and the end of the lease."""
log = logging.getLogger(__name__)


class Leader:
    """Tries to lead until cancelled. `lead` runs while it does, and is cancelled when it no longer does."""

    def __init__(
        self,
        kube: KubeClient,
        namespace: str,
        name: str,
        lead: Callable[[], Awaitable[None]],
        *,
        renew_seconds: float = RENEW_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        utc: Callable[[], float] = time.time,
    ) -> None:
        self._kube, self._namespace, self._name, self._lead = kube, namespace, name, lead
        self._every, self._clock, self._utc = renew_seconds, clock, utc
        self._seen: Sighting | None = None
        self._held: Object | None = None  # as we wrote it last
        self._held_at = float("-inf")
        self._leading: asyncio.Task[None] | None = None

    @property
    def leads(self) -> bool:
        """Whether this gateway leads now."""
        return self._leading is not None

    async def run(self) -> None:
        """Try, renew, lead; until cancelled, which gives the Lease back. Raises what `lead` raises."""
        try:
            while True:
                try:
                    async with asyncio.timeout(CALL_SECONDS):  # wait_for would lose a cancellation now and then
                        await self._take()
                except (KubeProblem, TimeoutError) as problem:
                    log.warning("the leader's Lease: %s", str(problem) or "the API takes too long")
                if self._held is not None and self._clock() >= self._held_at + GIVE_UP_SECONDS:
                    self._held = None
                await self._follow()
                waiting = {asyncio.create_task(asyncio.sleep(self._every))}
                if self._leading is not None:
                    waiting.add(self._leading)
                done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in waiting - done - {self._leading}:
                    task.cancel()
                if self._leading in done:
                    self._leading.result()  # it never ends but by an error
        finally:
            held, self._held = self._held, None
            await self._follow()
            if held is not None:
                await self._release(held)

    async def _take(self) -> None:
        try:
            lease = await self._kube.get(LEASES, self._namespace, LEADER)
        except NotFound:
            lease = None
        now = self._clock()
        if lease is not None:
            self._seen = sighting(lease, self._seen, now)
            if not is_free(self._seen, self._name, now):
                self._held = None
                return
        labels = {**MANAGED_BY, PART: PART_GATEWAY}
        body = taken(lease, LEADER, self._name, self._utc(), labels=labels)
        try:
            if lease is None:
                self._held = await self._kube.create(LEASES, self._namespace, body)
            else:
                self._held = await self._kube.replace(LEASES, self._namespace, body)
        except (Conflict, AlreadyExists):
            self._held = None  # another one was faster
            return
        self._held_at = now

    async def _follow(self) -> None:
        """Start or stop leading."""
        if self._held is not None and self._leading is None:
            log.info("leading")
            self._leading = asyncio.ensure_future(self._lead())
        elif self._held is None and self._leading is not None:
            log.info("no longer leading")
            leading, self._leading = self._leading, None
            leading.cancel()
            await asyncio.gather(leading, return_exceptions=True)

    async def _release(self, held: Object) -> None:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                try:
                    await self._kube.replace(LEASES, self._namespace, released(held, self._utc()))
                except Conflict:  # a renewal that was cut off may have been written all the same
                    lease = await self._kube.get(LEASES, self._namespace, LEADER)
                    if lease["spec"].get("holderIdentity") == self._name:
                        await self._kube.replace(LEASES, self._namespace, released(lease, self._utc()))
        except (KubeProblem, TimeoutError) as problem:
            log.warning("the leader's Lease was not given back: %s", str(problem) or "the API takes too long")
