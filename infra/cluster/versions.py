"""The calls about versions: declare, scale, lease, drain, delete, look. Rows change by `runtime.contract.wanted`.

Note: docs/designs/kubernetes-target.md, rules 1 to 3
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from infra.cluster import pods, reports, rows
from infra.cluster.look import Key, Looks, of_version
from infra.cluster.pods import name_of
from infra.cluster.routes import Routes
from infra.cluster.rows import Object
from infra.cluster.session import Session
from infra.hostclient import Absent, HostProblem
from runtime.contract import wanted
from runtime.contract.cluster import HASH, PART_VERSION, SERVICE, spec_name, version_name
from runtime.contract.desired import Version
from runtime.contract.host import Drift, Scale, VersionRecord, VersionState
from runtime.contract.route import RouteTable
from runtime.kubeapi import CONFIG_MAPS, DEPLOYMENTS, PODS, NotFound, Unreachable

EXIT_SECONDS = 30.0
"""How much longer than `drain_seconds` the end of a version's last pod may take."""
ROW_SECONDS = 2.0
"""So old may a row be while somebody polls; whoever writes it here knows the newest at once."""
PATIENCE_SECONDS = 60.0
"""So old may it be while the API server is away: a rollout outlives its restart."""


class Versions:
    """The versions of one namespace. Raises KubeProblem, HostProblem and HostGone."""

    def __init__(self, session: Session, routes: Routes) -> None:
        self._session, self._routes = session, routes
        self._rows: dict[Key, tuple[float, Version]] = {}
        self.looks = Looks(session)

    # Rows ------------------------------------------------------------------------------------------------------------

    async def row(self, service: str, hash: str, *, within: float = 0) -> Version:
        """A version's row, at most `within` seconds old. Absent."""
        known = self._rows.get((service, hash))
        if known is not None and time.monotonic() - known[0] <= within:
            return known[1]
        began = time.monotonic()
        found = await self._session.find(CONFIG_MAPS, version_name(service, hash))
        row = None if found is None else rows.version_of(found)
        if row is None:
            self._rows.pop((service, hash), None)
            raise Absent(f"version {hash} of {service} is not known", 404)
        self._rows[service, hash] = began, row
        return row

    async def all_rows(self, service: str = "") -> list[Version]:
        """All rows, of one service or of all."""
        found = await self._session.kube.list(
            CONFIG_MAPS, self._session.namespace, labels=rows.selector(PART_VERSION, service)
        )
        read = [row for each in found if (row := rows.version_of(each)) is not None]
        return sorted(read, key=lambda row: row.key)

    async def _change(
        self, service: str, hash: str, rule: Callable[[Version], Version], epoch: int | None
    ) -> tuple[Version, Version]:
        """The row before and after a rule. Absent."""
        seen: list[Version] = []

        def apply(found: Object | None) -> Object:
            row = None if found is None else rows.version_of(found)
            if found is None or row is None:
                raise Absent(f"version {hash} of {service} is not known", 404)
            seen[:] = [row, rule(row)]
            return rows.version_object(seen[1], found)

        await self._session.change(CONFIG_MAPS, version_name(service, hash), apply, epoch)
        before, after = seen
        self._rows[service, hash] = time.monotonic(), after
        return before, after

    async def _scale(self, row: Version, table: RouteTable | None) -> None:
        """The Deployment follows the row. One that is not there (any more) has nothing to follow with."""
        count = wanted.wanted(row, table, self._session.now())
        with suppress(NotFound):
            await self._session.kube.scale(DEPLOYMENTS, self._session.namespace, version_name(*row.key), count)

    # Writes ----------------------------------------------------------------------------------------------------------

    async def put(self, record: VersionRecord, epoch: int | None) -> VersionState:
        """Create, adopt or update the bounds; the template of a known hash never changes."""
        if record.template.hash() != record.hash:
            text = f"hash: {record.hash} is not the hash of the template, {record.template.hash()}"
            raise HostProblem("Invalid", text, 400)
        if not 0 <= record.bounds.min <= record.bounds.max:
            text = f"bounds: min {record.bounds.min} is not between 0 and max {record.bounds.max}"
            raise HostProblem("Invalid", text, 400)
        key = (record.service, record.hash)
        name, table = version_name(*key), None
        seen: list[Version] = []

        def rule(found: Object | None) -> Object:
            before = None if found is None else rows.version_of(found)
            if before is None:
                seen[:] = [Version(record=record)]
            else:
                kept = record.model_copy(update={"template": before.record.template})
                live = wanted.clamp(before.live, record.bounds, routed=wanted.is_routed(before, table))
                seen[:] = [before, replace(before, record=kept, live=live, deleting=False)]
            return rows.version_object(seen[-1], found)

        known = await self._known(key)
        await self._put_spec(record, epoch, new=not known)
        if known:
            table = await self._routes.table(record.service)
        await self._session.change(CONFIG_MAPS, name, rule, epoch, new=not known)
        row = seen[-1]
        self._rows[key] = time.monotonic(), row
        if len(seen) > 1 and row.lease_epoch:
            await self._scale(row, table)
        return self.looks.state(row, table, None, [])

    async def _put_spec(self, record: VersionRecord, epoch: int | None, *, new: bool) -> None:
        """Before the row: what has a row is whole."""
        wish = rows.spec_object(record)

        def rule(found: Object | None) -> Object:
            return wish if found is None else {**found, "data": wish["data"]}

        await self._session.change(CONFIG_MAPS, wish["metadata"]["name"], rule, epoch, new=new)

    async def lacks(self, service: str, hash: str) -> str:
        """What of a version is gone beside its row, in words; empty when it is whole."""
        name = spec_name(service, hash)
        return "" if await self._session.find(CONFIG_MAPS, name) else f"ConfigMap {name} is gone"

    async def _known(self, key: Key) -> bool:
        """Is there such a row? Asked of the list that is followed, so that a first deployment asks nothing more."""
        return version_name(*key) in await self._session.follow("rows")

    async def scale(self, service: str, hash: str, scale: Scale, epoch: int | None) -> VersionState:
        """Set the live count, or the temporary one."""
        table = await self._routes.table(service)

        def rule(row: Version) -> Version:
            try:
                scaled = wanted.scaled(row, scale, routed=wanted.is_routed(row, table), now=self._session.now())
            except wanted.OutOfBounds as error:
                raise HostProblem("Invalid", str(error), 400) from None
            return replace(scaled, failure=self.looks.failure(service, hash) or row.failure)

        _, after = await self._change(service, hash, rule, epoch)
        await self._scale(after, table)
        return await self.looks.look(after, table)

    async def lease(self, service: str, hash: str, lease_seconds: float, epoch: int | None) -> VersionState:
        """Begin a lease, which begins its starts anew, or renew it."""
        holder = "" if epoch is None else str(epoch)
        renewal = False

        def rule(row: Version) -> Version:
            nonlocal renewal
            now = self._session.now()
            renewal = wanted.is_leased(row, now) and row.lease_epoch == holder
            leased = wanted.leased(row, lease_seconds, now)
            return replace(leased, failure=row.failure) if renewal else replace(leased, lease_epoch=holder)

        before, after = await self._change(service, hash, rule, epoch)
        if renewal:
            return self.looks.state(after, None, None, [])
        self.looks.forget(service, hash)
        table, mine = await self._routes.table(service), await self.looks.pods(service, hash)
        if before.lease_epoch:
            await self._scale(after, table)  # else it was never leased: the first scale counts
        stuck = [name_of(pod) for pod in mine if pods.is_stuck(pod)]
        await asyncio.gather(*(self._delete_pod(name) for name in stuck))
        return await self.looks.look(after, table, without=stuck)

    async def end_lease(self, service: str, hash: str, epoch: int | None) -> None:
        """A temporary count ends with it. Absent is fine."""
        table = await self._routes.table(service)

        def rule(row: Version) -> Version:
            released = wanted.released(row, routed=wanted.is_routed(row, table), now=self._session.now())
            return replace(released, failure=self.looks.failure(service, hash) or row.failure)

        with suppress(Absent):
            before, after = await self._change(service, hash, rule, epoch)
            now = self._session.now()
            if wanted.wanted(before, table, now) != wanted.wanted(after, table, now):
                await self._scale(after, table)

    async def _delete_pod(self, name: str) -> None:
        with suppress(NotFound):
            await self._session.kube.delete(PODS, self._session.namespace, name)

    # Going away ------------------------------------------------------------------------------------------------------

    async def drain(self, service: str, hash: str) -> VersionState:
        """Wait until no gateway has a request in flight on it, at most its drain seconds. InUse while routed."""
        row = await self.row(service, hash)
        table = await self._routes.table(service)
        self._refuse_routed(row, table)
        await self._idle(row, table)
        return await self.looks.look(row, table)

    async def _idle(self, row: Version, table: RouteTable | None) -> None:
        gateways, leases = await self._session.follow("gateways"), await self._session.follow("reports")
        generation = table.generation if table else 0

        def idle() -> bool:
            if not reports.ready_gateways(gateways.values()):
                return True
            applied = reports.applied(row.record.service, gateways.values(), leases.values())
            return applied >= generation and not reports.is_busy(*row.key, gateways.values(), leases.values())

        await self._session.until(idle, row.record.template.drain_seconds)

    async def delete(self, service: str, hash: str, epoch: int | None) -> None:
        """Drain, scale to zero, wait for the pods' end, forget it. Its Deployment is its maker's to delete."""
        with suppress(Absent):
            row = await self.row(service, hash)
            table = await self._routes.table(service)
            self._refuse_routed(row, table)
            await self._idle(row, table)
            _, row = await self._change(service, hash, _going, epoch)
            await self._scale(row, table)
            limit = row.record.template.drain_seconds + EXIT_SECONDS
            every = await self._session.follow("pods")
            if not await self._session.until(lambda: not of_version(every.values(), service, hash), limit):
                left = ", ".join(sorted(name_of(pod) for pod in of_version(every.values(), service, hash)))
                raise HostProblem("InUse", f"pods of {hash} still run after {limit:.0f} s: {left}", 409)
            await self._session.check(epoch)
            for name in (spec_name(service, hash), version_name(service, hash)):
                with suppress(NotFound):
                    await self._session.kube.delete(CONFIG_MAPS, self._session.namespace, name)
            self._rows.pop((service, hash), None)

    def _refuse_routed(self, row: Version, table: RouteTable | None) -> None:
        if wanted.is_routed(row, table):
            text = f"the route of {row.record.service} names version {row.record.name} ({row.record.hash})"
            raise HostProblem("InUse", text, 409)

    # Looking ---------------------------------------------------------------------------------------------------------

    async def state(self, service: str, hash: str) -> VersionState:
        """One version, and how far its pods are."""
        try:
            row = await self.row(service, hash, within=ROW_SECONDS)
            table = await self._routes.table(service, within=ROW_SECONDS)
        except Unreachable:
            row = await self.row(service, hash, within=PATIENCE_SECONDS)
            table = await self._routes.table(service, within=PATIENCE_SECONDS)
        return await self.looks.look(row, table)

    async def states(self) -> list[VersionState]:
        """All versions."""
        every, tables = await self.all_rows(), await self._routes.all_tables()
        return list(await asyncio.gather(*(self.looks.look(row, tables.get(row.record.service)) for row in every)))

    async def drift(self) -> list[Drift]:
        """Versions that nobody routes or leases, and Deployments of ours without a row that run on."""
        every, tables, now = await self.all_rows(), await self._routes.all_tables(), self._session.now()
        found = []
        for row in every:
            needed = wanted.is_leased(row, now) or wanted.is_routed(row, tables.get(row.record.service))
            if row.orphan_since is not None and not needed:
                minutes = (now - row.orphan_since) / 60
                what = "is scaled to zero" if row.swept else f"runs {row.live} replicas"
                text = f"neither routed nor leased for {minutes:.0f} min, {what}"
                found.append(Drift(service=row.record.service, hash=row.record.hash, text=text))
        known = {row.key for row in every}
        for deployment in (await self._session.follow("deployments")).values():
            marks = deployment["metadata"].get("labels") or {}
            key = (str(marks.get(SERVICE, "")), str(marks.get(HASH, "")))
            if key not in known and (deployment.get("spec") or {}).get("replicas"):
                text = f"Deployment {name_of(deployment)} runs and nothing declares it"
                found.append(Drift(service=key[0], hash=key[1], text=text))
        return found


def _going(row: Version) -> Version:
    return replace(row, deleting=True, lease_until=0, temporary=None)
