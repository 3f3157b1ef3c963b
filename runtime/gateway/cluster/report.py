"""What this gateway has applied, as a Lease of its own that the plugin reads."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from runtime.contract.cluster import APPLIED, BUSY, MANAGED_BY, PART, PART_REPORT
from runtime.gateway.cluster.lease import micro_time
from runtime.gateway.gateway import Gateway
from runtime.kubeapi import LEASES, AlreadyExists, KubeClient, KubeProblem, NotFound, Object

RENEW_SECONDS = 10.0
DURATION_SECONDS = 30
LOOK_SECONDS = 1.0
RETRY_SECONDS = 1.0
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Said:
    """A report's content: generations by service, and busy versions that no route names (`service/hash`)."""

    applied: tuple[tuple[str, int], ...]
    busy: tuple[str, ...]


def to_say(gateway: Gateway) -> Said | None:
    """What there is to report; None before the first view."""
    if gateway.view is None:
        return None
    tables = {name: service.table for name, service in gateway.view.services.items() if service.table is not None}
    routed = {(name, each.hash) for name, table in tables.items() for each in table.versions.values()}
    return Said(
        tuple(sorted((name, table.generation) for name, table in tables.items())),
        tuple(sorted(f"{service}/{digest}" for service, digest in gateway.busy() - routed)),
    )


def lease_of(said: Said, pod: str, uid: str, utc: float) -> Object:
    """The Lease that says it, owned by the gateway's pod: it goes when the pod goes."""
    owner = {"apiVersion": "v1", "kind": "Pod", "name": pod, "uid": uid}
    return {
        "metadata": {
            "name": pod,
            "labels": {**MANAGED_BY, PART: PART_REPORT},
            "annotations": {APPLIED: json.dumps(dict(said.applied)), BUSY: json.dumps(said.busy)},
            **({"ownerReferences": [owner]} if uid else {}),
        },
        "spec": {"holderIdentity": pod, "leaseDurationSeconds": DURATION_SECONDS, "renewTime": micro_time(utc)},
    }


class Reporter:
    """Writes the report at once when it changes, and renews it."""

    def __init__(
        self,
        kube: KubeClient,
        namespace: str,
        gateway: Gateway,
        uid: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        utc: Callable[[], float] = time.time,
    ) -> None:
        self._kube, self._namespace, self._gateway, self._uid = kube, namespace, gateway, uid
        self._clock, self._utc = clock, utc
        self.changed = asyncio.Event()  # a view was applied
        self._failing = False

    async def run(self) -> None:
        """Report until cancelled."""
        last: Said | None = None
        written_at = float("-inf")
        while True:
            self.changed.clear()
            self._gateway.sweep()
            said = to_say(self._gateway)
            if said is not None and (said != last or self._clock() >= written_at + RENEW_SECONDS):
                if await self._write(said):
                    last, written_at = said, self._clock()
                else:
                    await asyncio.sleep(RETRY_SECONDS)
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self.changed.wait()
            except TimeoutError:
                pass

    async def _write(self, said: Said) -> bool:
        """Write over what is there: nobody else writes this Lease."""
        lease = lease_of(said, self._gateway.name, self._uid, self._utc())
        try:
            try:
                await self._kube.merge_patch(LEASES, self._namespace, self._gateway.name, lease)
            except NotFound:
                await self._kube.create(LEASES, self._namespace, lease)
        except AlreadyExists:
            return False
        except KubeProblem as problem:
            if not self._failing:
                log.warning("the report was not written: %s", problem)
            self._failing = True
            return False
        self._failing = False
        return True
