"""The admin API's calls about a service's route and its token."""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web

from runtime.contract import wanted
from runtime.contract.desired import Token
from runtime.contract.host import RouteState, TokenRecord
from runtime.contract.route import RouteTable
from runtime.host import logs
from runtime.host.host import Host
from runtime.host.refusal import Refusal, number, parse

LONGEST_WAIT_SECONDS = 600.0


class ServiceCalls:
    """Handlers; each does its write and brings the host in step."""

    def __init__(self, host: Host) -> None:
        self._host, self._store = host, host.store

    def add_to(self, app: web.Application) -> None:
        app.router.add_put("/v1/services/{service}/route", self.put_route)
        app.router.add_get("/v1/services/{service}/route", self.get_route)
        app.router.add_delete("/v1/services/{service}/route", self.delete_route)
        app.router.add_put("/v1/services/{service}/token", self.put_token)
        app.router.add_get("/v1/services/{service}/token", self.get_token)
        app.router.add_delete("/v1/services/{service}/token", self.delete_token)

    # Route -----------------------------------------------------------------------------------------------------------
    def _route(self, service: str) -> RouteTable:
        route = self._store.routes().get(service)
        if route is None:
            raise Refusal(404, "NotFound", f"service {service} has no route")
        return route

    def _route_state(self, route: RouteTable) -> web.Response:
        state = RouteState(table=route, applied=self._host.reports.generation(route.service))
        return web.Response(text=state.to_json(), content_type="application/json")

    async def put_route(self, request: web.Request) -> web.Response:
        table, service = await parse(RouteTable, request), request.match_info["service"]
        if table.service != service:
            raise Refusal(400, "Invalid", f"the body names service {table.service}, the path {service}")
        self._check(table)
        before = self._store.routes().get(service)
        if before is None or before.model_copy(update={"generation": table.generation}) != table:
            before = self._store.put_route(table)
            logs.note("route moved", service=service, generation=before.generation, weights=_weights(before))
        for version in self._store.versions():
            if version.record.service == service and version.hold_until:
                self._store.put_version(replace(version, hold_until=0))
        self._host.step()
        return self._route_state(before)

    def _check(self, table: RouteTable) -> None:
        known = {
            version.record.hash: version
            for version in self._store.versions()
            if version.record.service == table.service
        }
        for name, named in table.versions.items():
            if named.hash not in known or known[named.hash].deleting:
                text = f"versions.{name}.hash: {named.hash} is not known; known are: {', '.join(known) or 'none'}"
                raise Refusal(400, "Invalid", text)
            if not 0 <= named.weight <= 100:
                raise Refusal(400, "Invalid", f"versions.{name}.weight: {named.weight} is not between 0 and 100")
        total = sum(named.weight for named in table.versions.values())
        if total != 100:
            raise Refusal(400, "Invalid", f"versions: the weights sum to {total}, not 100")

    async def get_route(self, request: web.Request) -> web.Response:
        service = request.match_info["service"]
        route = self._route(service)
        if "wait" in request.query:
            generation = int(number(request, "wait", 0))
            seconds = min(number(request, "seconds", 30), LONGEST_WAIT_SECONDS)
            reports = self._host.reports
            if not await self._host.bell.until(lambda: reports.generation(service) >= generation, seconds):
                live = len(reports.live())
                text = f"generation {generation} of {service} is not applied after {seconds:g} s"
                raise Refusal(
                    409, "Invalid", f"{text}: {live} gateways report, the slowest has {reports.generation(service)}"
                )
            route = self._route(service)
        return self._route_state(route)

    async def delete_route(self, request: web.Request) -> web.Response:
        route = self._route(request.match_info["service"])
        self._store.delete_route(route.service)
        self._host.step()
        return self._route_state(route)

    # Token -----------------------------------------------------------------------------------------------------------
    def _token(self, service: str) -> Token:
        token = self._store.tokens().get(service)
        if token is None:
            raise Refusal(404, "NotFound", f"service {service} has no token")
        return token

    def _token_answer(self, token: Token) -> web.Response:
        return web.Response(text=token.record.to_json(), content_type="application/json")

    async def put_token(self, request: web.Request) -> web.Response:
        """Keep a token; `wanted.rotated` says which one holds."""
        record, service = await parse(TokenRecord, request), request.match_info["service"]
        if len(record.token) < 8:
            raise Refusal(400, "Invalid", "token: shorter than 8 characters")
        before = self._store.tokens().get(service)
        stored = wanted.rotated(before, record, self._host.now())
        if before is not None and before.record.rotation != record.rotation:
            logs.note("token rotated", service=service, rotation=record.rotation)
        self._store.put_token(service, stored)
        self._host.step()
        return self._token_answer(stored)

    async def get_token(self, request: web.Request) -> web.Response:
        return self._token_answer(self._token(request.match_info["service"]))

    async def delete_token(self, request: web.Request) -> web.Response:
        token = self._token(request.match_info["service"])
        self._store.delete_token(request.match_info["service"])
        self._host.step()
        return self._token_answer(token)


def _weights(table: RouteTable) -> dict[str, int]:
    return {name: named.weight for name, named in table.versions.items()}
