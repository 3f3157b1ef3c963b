"""One namespace of one cluster as this process sees it: its writes, its clock, and what it follows there.

Everything runs on one event loop, so nothing here needs a lock against threads.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from infra.cluster.pods import seconds
from infra.cluster.rows import Object, epoch_of, owner_of, selector, with_epoch
from infra.hostclient import Absent, HostGone, HostProblem
from runtime.contract.cluster import PART_GATEWAY, PART_REPORT, PART_VERSION, RECORD, ClusterAddress
from runtime.kubeapi import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    EVENTS,
    LEASES,
    PODS,
    AlreadyExists,
    Conflict,
    Informer,
    KubeClient,
    NotFound,
    Resource,
)

Rule = Callable[[Object | None], Object | None]

TRIES = 30
"""Of a compare-and-swap. Writers of one process wait for each other, so only other processes can win."""
SHARED_SECONDS = 0.25
"""One look at the record serves all writes of so long."""
SKEW_SECONDS = 2.0
"""The API server's times have whole seconds: a smaller difference of the clocks is none."""
FOLLOWED: dict[str, tuple[Resource, str, str]] = {
    "rows": (CONFIG_MAPS, selector(PART_VERSION), ""),
    "pods": (PODS, selector(PART_VERSION), ""),
    "deployments": (DEPLOYMENTS, selector(PART_VERSION), ""),
    "gateways": (PODS, selector(PART_GATEWAY), ""),
    "reports": (LEASES, selector(PART_REPORT), ""),
    "events": (EVENTS, "", "involvedObject.kind=Pod"),
}


class Session:
    """The effects that all calls share. Raises KubeProblem, HostProblem and HostGone."""

    def __init__(self, kube: KubeClient, address: ClusterAddress) -> None:
        self.kube = kube
        self.address = address
        self.skew = 0.0  # the cluster's clock less ours, in seconds
        self.changed = asyncio.Condition()
        self.calls: Any = None  # what the calls of this namespace remember; theirs alone
        self._locks: dict[str, asyncio.Lock] = {}
        self._informers: dict[str, tuple[Informer, list[asyncio.Task[None]]]] = {}
        self._record: tuple[float, Object] | None = None

    @property
    def namespace(self) -> str:
        """Of all objects."""
        return self.address.namespace

    def now(self) -> float:
        """The cluster's time, Unix seconds: leases are judged by gateways that run there."""
        return time.time() + self.skew

    # Writes ----------------------------------------------------------------------------------------------------------

    async def find(self, resource: Resource, name: str) -> Object | None:
        """One object; None when it is absent."""
        try:
            return await self.kube.get(resource, self.namespace, name)
        except NotFound:
            return None

    async def change(
        self, resource: Resource, name: str, rule: Rule, epoch: int | None, *, new: bool = False
    ) -> Object | None:
        """Read, apply the rule, write with the version that was read; again when somebody else was faster.

        The rule gets None for an absent object and answers None, or the same, when there is nothing to write. `new`:
        it is probably absent, so the first try reads nothing. Gives what is there afterwards.
        """
        async with self._locks.setdefault(f"{resource.plural}/{name}", asyncio.Lock()):
            for attempt in range(TRIES):
                await self.check(epoch)
                found = None if new and attempt == 0 else await self.find(resource, name)
                wish = rule(deepcopy(found))
                if wish is None or wish == found:
                    return found
                try:
                    if found is None:
                        return self._written(await self.kube.create(resource, self.namespace, wish))
                    return self._written(await self.kube.replace(resource, self.namespace, wish))
                except (Conflict, AlreadyExists):
                    if attempt and not new:
                        await asyncio.sleep(random.uniform(0, 0.02 * attempt))
                except NotFound as gone:
                    if found is None:  # a create: then it is the namespace that is missing
                        raise HostGone(f"namespace {self.namespace} is not there; `pulumi up` makes it") from gone
        raise HostProblem("Invalid", f"{resource.plural} {name} changes faster than it can be written")

    def _written(self, answer: Object) -> Object:
        """Learn the cluster's time from what it wrote down about our write."""
        times = [seconds(each.get("time")) for each in answer["metadata"].get("managedFields") or []]
        if times:
            skew = max(times) + 0.5 - time.time()
            self.skew = skew if abs(skew) > SKEW_SECONDS else 0.0
        return answer

    # The record ------------------------------------------------------------------------------------------------------

    async def record(self, *, fresh: bool = False) -> Object:
        """The namespace's record. Absent: no stack of ours lives here."""
        if not fresh and self._record is not None and time.monotonic() - self._record[0] < SHARED_SECONDS:
            return self._record[1]
        began = time.monotonic()
        found = await self.find(CONFIG_MAPS, RECORD)
        if found is None:
            self._record = None
            raise Absent(f"namespace {self.namespace} has no record; its Namespace resource makes it")
        self._record = began, found
        return found

    async def check(self, epoch: int | None) -> None:
        """Refuse a write of a run that is not the newest; None: an operator's hand."""
        if epoch is None:
            return
        newest = epoch_of(await self.record())
        if epoch < newest:
            raise HostProblem("StaleEpoch", f"epoch {epoch} is older than {newest}", 409)

    async def new_epoch(self, stack: str = "") -> int:
        """One higher than every epoch before. `stack`: who must own the namespace (empty: anybody)."""

        def rule(found: Object | None) -> Object:
            if found is None:
                text = f"namespace {self.namespace} has no record; its Namespace resource makes it"
                raise Absent(text)
            if stack and owner_of(found) != stack:
                raise HostProblem("ForeignState", foreign(self.namespace, owner_of(found), stack))
            return with_epoch(found, epoch_of(found) + 1)

        written = await self.change(CONFIG_MAPS, RECORD, rule, None)
        assert written is not None
        self._record = time.monotonic(), written
        return epoch_of(written)

    # What is followed ------------------------------------------------------------------------------------------------

    async def follow(self, kind: str) -> dict[str, Object]:
        """The objects of a kind of FOLLOWED by name, kept up to date from the first call on."""
        if kind not in self._informers:
            resource, labels, fields = FOLLOWED[kind]
            made = Informer(self.kube, resource, self.namespace, labels=labels, fields=fields)
            tasks = [asyncio.create_task(work) for work in (made.run(), self._tell(made))]
            self._informers[kind] = made, tasks
        informer, tasks = self._informers[kind]
        while not informer.synced.is_set():
            if informer.problem is not None:
                for task in tasks:
                    task.cancel()
                self._informers.pop(kind, None)  # the next call tries again, and hears of it again
                raise informer.problem
            try:
                await asyncio.wait_for(informer.synced.wait(), 0.05)
            except TimeoutError:
                continue
        return informer.objects

    async def _tell(self, informer: Informer) -> None:
        while True:
            await informer.changed.wait()
            informer.changed.clear()
            async with self.changed:
                self.changed.notify_all()

    async def until(self, done: Callable[[], bool], limit: float) -> bool:
        """Wait, woken by what is followed, until `done`; False when `limit` seconds are over."""
        deadline = time.monotonic() + limit
        while not done():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            async with self.changed:
                try:
                    await asyncio.wait_for(self.changed.wait(), min(left, 1.0))
                except TimeoutError:
                    continue
        return True

    async def close(self) -> None:
        """Stop following."""
        tasks = [task for _, tasks in self._informers.values() for task in tasks]
        self._informers.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def foreign(namespace: str, owner: str, stack: str) -> str:
    """Another stack lives there, in words."""
    return (
        f"target.namespace: namespace {namespace} belongs to the stack {owner}, this is {stack}; "
        "give this stack a namespace of its own"
    )
