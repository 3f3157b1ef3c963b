"""The leader's hands: rows are written by compare-and-swap, Deployments scaled by their subresource."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from runtime.contract import wanted
from runtime.contract.cluster import VERSION_KEY, version_name
from runtime.contract.desired import Version
from runtime.contract.host import Scale
from runtime.contract.route import RouteTable
from runtime.gateway.autoscale.ports import ScaleFailed
from runtime.gateway.cluster.chores import Memory, Work, counts, decide
from runtime.gateway.cluster.view import Objects, Seen
from runtime.kubeapi import CONFIG_MAPS, DEPLOYMENTS, Conflict, KubeClient, KubeProblem, NotFound, Object

LOOK_SECONDS = 1.0
BREATH_SECONDS = 0.1
"""Between two looks, however much happens."""
TRIES = 3
log = logging.getLogger(__name__)


class Hands:
    """Writes rows and counts of one namespace."""

    def __init__(self, kube: KubeClient, namespace: str) -> None:
        self._kube, self._namespace = kube, namespace

    async def write(self, found: Object, row: Version) -> Object:
        """Put the row into the ConfigMap that was read. Raises Conflict and other KubeProblems."""
        data = {**(found.get("data") or {}), VERSION_KEY: row.to_json()}
        return await self._kube.replace(CONFIG_MAPS, self._namespace, {**found, "data": data})

    async def read(self, name: str) -> Object:
        """A version's ConfigMap as it is now."""
        return await self._kube.get(CONFIG_MAPS, self._namespace, name)

    async def scale(self, name: str, replicas: int) -> None:
        """Set a Deployment's count; one that is gone is none of ours."""
        try:
            await self._kube.scale(DEPLOYMENTS, self._namespace, name, replicas)
        except NotFound:
            return
        log.info("%s: %d replicas", name, replicas)


class Chores:
    """Looks at every version once a second and after each change. One look at a time."""

    def __init__(self, hands: Hands, *, utc: Callable[[], float] = time.time) -> None:
        self._hands, self._utc = hands, utc
        self._memories: dict[str, Memory] = {}
        self._failing: set[str] = set()

    async def look(self, seen: Seen, objects: Objects, deployments: Objects) -> None:
        """Decide about each version and do it. What fails is logged, and decided anew at the next look."""
        now = self._utc()
        self._memories = {name: memory for name, memory in self._memories.items() if name in seen.versions}
        todo: list[tuple[str, Work]] = []
        for name, version in seen.versions.items():
            route = seen.routes.get(version.record.service)
            memory = self._memories.get(name, Memory())
            work, self._memories[name] = decide(version, route, counts(deployments.get(name)), memory, now)
            if work.row is not None or work.replicas is not None:
                todo.append((name, work))
        await asyncio.gather(*(self._do(name, work, objects[name]) for name, work in todo if name in objects))

    async def _do(self, name: str, work: Work, found: Object) -> None:
        try:
            if work.row is not None:
                await self._hands.write(found, work.row)
            elif work.confirm and _version(await self._hands.read(name)) != _version(found):
                return
            if work.replicas is not None:
                await self._hands.scale(name, work.replicas)
        except Conflict:
            return  # somebody was faster; the next look sees what they wrote
        except KubeProblem as problem:
            if name not in self._failing:
                self._failing.add(name)
                log.warning("%s: %s", name, problem)
            return
        self._failing.discard(name)


class ClusterScaler:
    """The autoscaler's Scaler: the row first, then the Deployment."""

    def __init__(
        self,
        hands: Hands,
        route: Callable[[str], RouteTable | None],
        *,
        utc: Callable[[], float] = time.time,
    ) -> None:
        self._hands, self._route, self._utc = hands, route, utc

    async def scale(self, service: str, hash: str, replicas: int, reason: str) -> None:
        """See Scaler. A conflict is tried again on what is there then."""
        name = version_name(service, hash)
        try:
            for tries in range(1, TRIES + 1):
                found = await self._hands.read(name)
                row = Version.from_json(found["data"][VERSION_KEY])
                now = self._utc()
                scale = Scale(replicas=replicas, reason=reason)
                try:
                    fresh = wanted.scaled(row, scale, routed=wanted.is_routed(row, self._route(service)), now=now)
                    await self._hands.write(found, fresh)
                    break
                except Conflict:
                    if tries == TRIES:
                        raise
            await self._hands.scale(name, replicas)
        except (KubeProblem, wanted.OutOfBounds) as problem:
            raise ScaleFailed(str(problem)) from problem
        except (ValueError, TypeError, KeyError) as error:
            raise ScaleFailed(f"ConfigMap {name} holds no version ({type(error).__name__})") from error


def _version(found: Object) -> str:
    return str(found["metadata"].get("resourceVersion", ""))
