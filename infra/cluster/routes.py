"""The calls about a service's route and its token.

Note: docs/designs/kubernetes-target.md, rules 1, 5 and 6
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from infra.cluster import pods, reports, rows
from infra.cluster.pods import name_of
from infra.cluster.rows import Object
from infra.cluster.session import Session
from infra.hostclient import Absent, HostProblem
from runtime.contract import wanted
from runtime.contract.cluster import (
    PART_ROUTE,
    PART_VERSION,
    POKED,
    SERVICE,
    TOKENS,
    route_name,
    version_name,
)
from runtime.contract.desired import Token, Version
from runtime.contract.host import RouteState, TokenRecord
from runtime.contract.route import RouteTable
from runtime.kubeapi import CONFIG_MAPS, DEPLOYMENTS, PODS, SECRETS, ApiProblem, Conflict, NotFound

POKED_AT_ONCE = 16


class Routes:
    """Routes and tokens of one namespace. Raises KubeProblem, HostProblem and HostGone."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._tables: dict[str, tuple[float, RouteTable | None]] = {}

    # Route -----------------------------------------------------------------------------------------------------------

    async def table(self, service: str, *, within: float = 0) -> RouteTable | None:
        """A service's table, at most `within` seconds old; None when it has none."""
        known = self._tables.get(service)
        if known is not None and time.monotonic() - known[0] <= within:
            return known[1]
        began = time.monotonic()
        found = await self._session.find(CONFIG_MAPS, route_name(service))
        table = None if found is None else rows.route_of(found)
        self._tables[service] = began, table
        return table

    async def all_tables(self) -> dict[str, RouteTable]:
        """All tables by service."""
        found = await self._session.kube.list(CONFIG_MAPS, self._session.namespace, labels=rows.selector(PART_ROUTE))
        tables = [table for each in found if (table := rows.route_of(each)) is not None]
        return {table.service: table for table in tables}

    async def url(self, service: str) -> str:
        """The service's URL as its route keeps it; empty when none was kept."""
        found = await self._session.find(CONFIG_MAPS, route_name(service))
        return "" if found is None else rows.url_of(found)

    async def state(self, service: str) -> RouteState:
        """The table, and how far the gateways are. Absent."""
        table = await self.table(service)
        if table is None:
            raise Absent(f"service {service} has no route", 404)
        return RouteState(table=table, applied=await self._applied(service))

    async def _applied(self, service: str) -> int:
        gateways, leases = await self._session.follow("gateways"), await self._session.follow("reports")
        return reports.applied(service, gateways.values(), leases.values())

    async def put(self, table: RouteTable, url: str, epoch: int | None) -> RouteState:
        """Write the table under its next generation when it is another one; the service's Deployments follow."""
        service = table.service
        found = await self._session.kube.list(
            CONFIG_MAPS, self._session.namespace, labels=rows.selector(PART_VERSION, service)
        )
        versions = {row.record.hash: (row, each) for each in found if (row := rows.version_of(each)) is not None}
        _check(table, {hash: row for hash, (row, _) in versions.items()})
        least = await self._applied(service)  # generations go on after a delete
        before: list[RouteTable | None] = [None]
        after: list[RouteTable] = [table]

        def rule(known: Object | None) -> Object | None:
            old = None if known is None else rows.route_of(known)
            before[0] = old
            if old is not None and old.model_copy(update={"generation": table.generation}) == table:
                after[0] = old
                return rows.route_object(old, url, known)
            after[0] = table.model_copy(update={"generation": (old.generation if old else least) + 1})
            return rows.route_object(after[0], url, known)

        await self._session.change(CONFIG_MAPS, route_name(service), rule, epoch)
        self._tables[service] = time.monotonic(), after[0]
        await asyncio.gather(
            *(self._settle(row, each, before[0], after[0], epoch) for row, each in versions.values()),
            self.poke(service, f"route {after[0].generation}", always=before[0] != after[0]),
        )
        return RouteState(table=after[0], applied=await self._applied(service))

    async def _settle(
        self, row: Version, found: Object, before: RouteTable | None, after: RouteTable, epoch: int | None
    ) -> None:
        """Bring one version in step with the new table: its hold is over, its Deployment follows."""
        now, held = self._session.now(), bool(row.hold_until)
        count = wanted.wanted(row, before, now)
        settled = replace(row, hold_until=0)
        if held:
            wish = rows.version_object(settled, found)
            try:
                await self._session.check(epoch)
                await self._session.kube.replace(CONFIG_MAPS, self._session.namespace, wish)
            except (Conflict, NotFound):
                pass  # somebody else has changed it; a hold ends by itself
        target = wanted.wanted(settled, after, now)
        if target != count or after.stopped:
            with suppress(NotFound):
                await self._session.kube.scale(DEPLOYMENTS, self._session.namespace, version_name(*row.key), target)

    async def wait(self, service: str, generation: int, limit: float) -> RouteState:
        """Wait until every ready gateway has applied the generation; HostProblem Invalid after `limit` seconds."""
        gateways, leases = await self._session.follow("gateways"), await self._session.follow("reports")

        def done() -> bool:
            return reports.applied(service, gateways.values(), leases.values()) >= generation

        if not await self._session.until(done, limit):
            ready = len(reports.ready_gateways(gateways.values()))
            slowest = reports.applied(service, gateways.values(), leases.values())
            text = f"generation {generation} of {service} is not applied after {limit:g} s"
            raise HostProblem("Invalid", f"{text}: {ready} gateways are ready, the slowest has {slowest}", 409)
        table = await self.table(service, within=limit + 1)
        if table is None:
            raise Absent(f"service {service} has no route", 404)
        return RouteState(table=table, applied=await self._applied(service))

    async def delete(self, service: str, epoch: int | None) -> None:
        """Absent is fine."""
        await self._session.check(epoch)
        with suppress(NotFound):
            await self._session.kube.delete(CONFIG_MAPS, self._session.namespace, route_name(service))
        self._tables.pop(service, None)

    # Token -----------------------------------------------------------------------------------------------------------

    async def token(self, service: str) -> TokenRecord:
        """The service's token. Absent."""
        found = await self._session.find(SECRETS, TOKENS)
        token = None if found is None else rows.token_of(found, service)
        if token is None:
            raise Absent(f"service {service} has no token", 404)
        return token.record

    async def put_token(self, service: str, record: TokenRecord, epoch: int | None) -> TokenRecord:
        """Keep a token; `wanted.rotated` says which one holds."""
        if len(record.token) < 8:
            raise HostProblem("Invalid", "token: shorter than 8 characters", 400)
        kept: list[Token | None] = [None, None]

        def rule(found: Object | None) -> Object:
            secret = rows.tokens_object() if found is None else found
            before = rows.token_of(secret, service)
            kept[:] = [before, wanted.rotated(before, record, self._session.now())]
            return rows.with_token(secret, service, kept[1])

        await self._session.change(SECRETS, TOKENS, rule, epoch)
        before, after = kept
        assert after is not None
        await self.poke(service, f"token {after.record.rotation}", always=before != after)
        return after.record

    async def delete_token(self, service: str, epoch: int | None) -> None:
        """Absent is fine."""

        def rule(found: Object | None) -> Object | None:
            return None if found is None else rows.with_token(found, service, None)

        await self._session.change(SECRETS, TOKENS, rule, epoch)

    # Pods ------------------------------------------------------------------------------------------------------------

    async def poke(self, service: str, why: str, *, always: bool) -> None:
        """Have the kubelets renew the files of the service's pods now; nothing to do when nothing was written."""
        if not always:
            return
        every = (await self._session.follow("pods")).values()
        mine = [
            name_of(pod)
            for pod in every
            if (pod["metadata"].get("labels") or {}).get(SERVICE) == service and not pods.is_going(pod)
        ]
        room = asyncio.Semaphore(POKED_AT_ONCE)
        patch = {"metadata": {"annotations": {POKED: f"{why} {time.time():.3f}"}}}

        async def one(name: str) -> None:
            async with room:
                with suppress(ApiProblem):  # it is gone, or not ours to touch: its files are renewed in a minute anyway
                    await self._session.kube.merge_patch(PODS, self._session.namespace, name, patch)

        await asyncio.gather(*(one(name) for name in mine))


def _check(table: RouteTable, known: Mapping[str, Version]) -> None:
    for name, named in table.versions.items():
        if named.hash not in known or known[named.hash].deleting:
            text = f"versions.{name}.hash: {named.hash} is not known; known are: {', '.join(sorted(known)) or 'none'}"
            raise HostProblem("Invalid", text, 400)
        if not 0 <= named.weight <= 100:
            raise HostProblem("Invalid", f"versions.{name}.weight: {named.weight} is not between 0 and 100", 400)
    total = sum(named.weight for named in table.versions.values())
    if total != 100:
        raise HostProblem("Invalid", f"versions: the weights sum to {total}, not 100", 400)
