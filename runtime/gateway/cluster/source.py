"""The source of views in a cluster: informers, this gateway's report, and the chores of the one that leads."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass

from runtime.contract.cluster import (
    GATEWAY_HEADER,
    INTERNAL_PORT,
    PART,
    PART_GATEWAY,
    PART_ROUTE,
    PART_VERSION,
    TOKENS,
)
from runtime.gateway.autoscale.driver import Autoscaler
from runtime.gateway.cluster.external_metrics import external_metrics
from runtime.gateway.cluster.internal_port import internal_port
from runtime.gateway.cluster.leader import Leader
from runtime.gateway.cluster.objects import Pod
from runtime.gateway.cluster.peers import Peers
from runtime.gateway.cluster.report import Reporter
from runtime.gateway.cluster.totals import Totals
from runtime.gateway.cluster.view import Eyes, Seen, Snapshot, View
from runtime.gateway.cluster.work import BREATH_SECONDS, LOOK_SECONDS, Chores, ClusterScaler, Hands
from runtime.gateway.gateway import Gateway
from runtime.kubeapi import CONFIG_MAPS, DEPLOYMENTS, ENDPOINT_SLICES, SECRETS, Informer, KubeClient, Resource

SEE_SECONDS = 1.0
"""Time alone changes a view too: a token's overlap ends, a lease runs out."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Me:
    """This gateway's pod."""

    name: str
    uid: str = ""  # "": it is no pod (a test), and its report has no owner


class ClusterSource:
    """Feeds one gateway from one namespace until cancelled."""

    def __init__(
        self,
        gateway: Gateway,
        kube: KubeClient,
        namespace: str,
        me: Me,
        internal: socket.socket,
        *,
        metrics: socket.socket | None = None,
        peers_port: int = INTERNAL_PORT,
    ) -> None:
        self._gateway, self._kube, self._namespace, self._me = gateway, kube, namespace, me
        self._internal, self._metrics, self._peers_port = internal, metrics, peers_port
        self._changed = asyncio.Event()
        version, ours = f"{PART}={PART_VERSION}", f"{PART} in ({PART_VERSION},{PART_GATEWAY})"
        self._versions = self._informer(CONFIG_MAPS, labels=version)
        self._routes = self._informer(CONFIG_MAPS, labels=f"{PART}={PART_ROUTE}")
        self._secrets = self._informer(SECRETS, fields=f"metadata.name={TOKENS}")
        self._slices = self._informer(ENDPOINT_SLICES, labels=ours)
        self._deployments = self._informer(DEPLOYMENTS, labels=version)
        self._eyes = Eyes()
        self._view = View(me.name)
        self._seen: Seen | None = None
        self._news = asyncio.Event()  # for the leader: something was seen
        self._reporter = Reporter(kube, namespace, gateway, me.uid)

    def _informer(self, resource: Resource, *, labels: str = "", fields: str = "") -> Informer:
        return Informer(self._kube, resource, self._namespace, labels=labels, fields=fields, changed=self._changed)

    async def run(self) -> None:
        """Follow, report, lead. Only an error of ours ends it."""
        informers = (self._versions, self._routes, self._secrets, self._slices, self._deployments)
        async with AsyncExitStack() as stack:
            totals = Totals(self._gateway, await stack.enter_async_context(self._peers()))
            await stack.enter_async_context(internal_port(self._gateway, self._internal, totals))
            if self._metrics is not None:
                await stack.enter_async_context(external_metrics(totals, self._namespace, self._metrics))
            group = await stack.enter_async_context(asyncio.TaskGroup())
            group.create_task(totals.run())
            for informer in informers:
                group.create_task(informer.run())
            group.create_task(self._see())
            group.create_task(self._reporter.run())
            group.create_task(self._lead_until_stopping())

    async def _see(self) -> None:
        for informer in (self._versions, self._routes, self._secrets, self._slices):
            await informer.synced.wait()
        while True:
            self._changed.clear()
            seen = self._eyes.see(self._snapshot(), time.time())
            self._seen = seen
            key = seen.replica_key
            self._gateway.replica_lines = b"%s: %s\r\n" % (GATEWAY_HEADER.encode(), key) if key else b""
            if self._view.update(seen.services):
                self._apply()
            self._news.set()
            try:
                async with asyncio.timeout(SEE_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                pass

    def _apply(self) -> None:
        try:
            self._gateway.apply(self._view.current)
        except ValueError as error:
            log.error("a view that this gateway cannot serve; kept the last one: %s", error)
            return
        self._reporter.changed.set()

    def _snapshot(self) -> Snapshot:
        return Snapshot(
            versions=self._versions.objects,
            routes=self._routes.objects,
            secrets=self._secrets.objects,
            slices=self._slices.objects,
            deployments=self._deployments.objects,
        )

    # The leader ------------------------------------------------------------------------------------------------------

    async def _lead_until_stopping(self) -> None:
        leader = asyncio.create_task(Leader(self._kube, self._namespace, self._me.name, self._lead).run())
        stopping = asyncio.create_task(self._gateway.stopping.wait())
        try:
            await asyncio.wait({leader, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if leader.done():
                leader.result()
        finally:
            stopping.cancel()
            leader.cancel()
            await asyncio.gather(leader, return_exceptions=True)

    async def _lead(self) -> None:
        """Chores and autoscaling, until cancelled."""
        await self._deployments.synced.wait()
        hands = Hands(self._kube, self._namespace)
        scaler = ClusterScaler(hands, lambda service: self._seen.routes.get(service) if self._seen else None)
        async with self._peers() as peers, asyncio.TaskGroup() as group:
            group.create_task(self._chores(Chores(hands)))
            group.create_task(Autoscaler(self._gateway, scaler, peers).run())

    def _peers(self) -> Peers:
        return Peers(self._me.name, self._gateways, port=self._peers_port)

    def _gateways(self) -> list[Pod]:
        return list(self._seen.gateways.values()) if self._seen is not None else []

    async def _chores(self, chores: Chores) -> None:
        while True:
            self._news.clear()
            if self._seen is not None:
                await chores.look(self._seen, self._versions.objects, self._deployments.objects)
            await asyncio.sleep(BREATH_SECONDS)
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._news.wait()
            except TimeoutError:
                pass
