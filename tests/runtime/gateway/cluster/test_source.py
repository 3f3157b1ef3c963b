"""A gateway that lives from a namespace: what it serves, what it reports, what the leading one does."""

from __future__ import annotations

import asyncio
import json
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from runtime.contract.activity import GatewayActivity
from runtime.contract.cluster import APPLIED, BUSY, GATEWAY_HEADER, LEADER, REPLICA_PORT, ROUTE_KEY, VERSION_KEY
from runtime.contract.desired import Version
from runtime.contract.host import VersionFailure
from runtime.contract.phases import Phase
from runtime.gateway.cluster.objects import Pod
from runtime.gateway.cluster.peers import Peers
from runtime.gateway.cluster.source import ClusterSource, Me
from runtime.gateway.gateway import Gateway
from runtime.gateway.record import Records
from runtime.gateway.server import serving
from tests.runtime.gateway.cluster.things import (
    HASH,
    NAME,
    deployment,
    endpoint,
    route,
    route_map,
    secret,
    version,
    version_map,
    version_slice,
)
from tests.runtime.gateway.harness import Front, until
from tests.runtime.kubeapi.fake_api import FakeApi, client_of, fake_api


@dataclass
class Running:
    """A gateway, its clients, its internal port."""

    api: FakeApi
    front: Front
    internal: int
    source: asyncio.Task[None]

    @property
    def gateway(self) -> Gateway:
        return self.front.gateway

    async def get(self, path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{self.internal}{path}") as answer:
                return answer.status, await answer.text()

    def row(self) -> Version:
        return Version.from_json(self.api.get("configmaps", "llm", NAME)["data"][VERSION_KEY])

    def replicas(self) -> int:
        return int(self.api.get("deployments", "llm", NAME)["spec"]["replicas"])


def listen(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((host, port))
    return made


@asynccontextmanager
async def gateway(api: FakeApi, name: str = "g-1") -> AsyncIterator[Running]:
    made = Gateway(name, asyncio.get_running_loop(), Records())
    internal, public = listen(), listen()
    async with client_of(api) as kube:
        source = asyncio.create_task(ClusterSource(made, kube, "llm", Me(name, "u-1"), internal).run())
        viewed = asyncio.create_task(made.viewed.wait())
        await asyncio.wait({source, viewed}, return_when=asyncio.FIRST_COMPLETED)
        assert not source.done(), source.exception()
        async with serving(made, public) as server:
            try:
                yield Running(api, Front(server, public.getsockname()[1]), internal.getsockname()[1], source)
            finally:
                source.cancel()
                await asyncio.gather(source, return_exceptions=True)


@asynccontextmanager
async def replica() -> AsyncIterator[tuple[str, list[bytes]]]:
    """A pod on the port of pods, at an address of its own: its IP, and the heads of its requests."""
    heads: list[bytes] = []
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            while True:
                heads.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    ip = f"127.{random.randint(1, 250)}.{random.randint(1, 250)}.{random.randint(1, 250)}"
    server = await asyncio.start_server(serve, ip, REPLICA_PORT)
    try:
        yield ip, heads
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)


def put(api: FakeApi, row: Version, ip: str = "", *, count: int | None = None) -> None:
    api.put("secrets", "llm", secret(chat="t"))
    api.put("configmaps", "llm", version_map(row))
    api.put("configmaps", "llm", route_map(route()))
    if count is not None:
        api.put("deployments", "llm", deployment(count, count))
    if ip:
        api.put("endpointslices", "llm", version_slice(endpoint("chat-a", ip, ready=True)))


async def test_requests_go_to_the_pods_of_the_routed_version_and_carry_the_replica_key() -> None:
    async with fake_api() as api, replica() as (ip, heads):
        put(api, version(), ip, count=1)
        async with gateway(api) as one:
            spoofed = f"{GATEWAY_HEADER}: mine\r\n".encode()
            status, head, body = await one.front.request(token="t", headers=spoofed)
            assert (status, body) == (200, b"ok")
            assert f"{GATEWAY_HEADER}: replica-secret\r\n".encode() in heads[0]
            assert b"mine" not in heads[0]
            assert b"replica-secret" not in head
            assert (await one.front.request(token="wrong"))[0] == 401


async def test_what_changes_in_the_namespace_changes_what_is_served() -> None:
    async with fake_api() as api, replica() as (ip, _):
        async with gateway(api) as one:
            assert (await one.front.request(token="t"))[0] == 404
            put(api, version(), ip, count=1)
            await until(lambda: "chat" in one.gateway.services and one.gateway.services["chat"].has_ready(HASH))
            assert (await one.front.request(token="t"))[0] == 200
            api.put("secrets", "llm", secret(chat="u"))
            await until(lambda: one.gateway.services["chat"].view.tokens == ("u",))
            assert (await one.front.request(token="t"))[0] == 401
            api.put("configmaps", "llm", route_map(route(generation=2, stopped=True)))
            await until(lambda: one.gateway.services["chat"].stopped)
            assert (await one.front.request(token="u"))[0] == 503


async def test_while_the_api_is_away_the_last_view_stays() -> None:
    async with fake_api() as api, replica() as (ip, _):
        put(api, version(), ip, count=1)
        async with gateway(api) as one:
            for verb in ("LIST", "WATCH", "GET"):
                for plural in ("configmaps", "secrets", "endpointslices", "leases"):
                    api.refuse[f"{verb} {plural}"] = (503, "ServiceUnavailable", "down")
            api.drop_watches()
            assert (await one.front.request(token="t"))[0] == 200


async def test_a_report_says_at_once_which_generations_are_applied() -> None:
    async with fake_api() as api:
        put(api, version())
        async with gateway(api) as one:

            def applied() -> object:
                lease = api.objects.get(("leases", "llm", "g-1"))
                return lease and json.loads(lease["metadata"]["annotations"][APPLIED])

            await until(lambda: applied() == {"chat": 1})
            lease = api.get("leases", "llm", "g-1")
            assert lease["metadata"]["ownerReferences"][0]["uid"] == "u-1"
            assert json.loads(lease["metadata"]["annotations"][BUSY]) == []
            api.put("configmaps", "llm", route_map(route(generation=2)))
            await until(lambda: applied() == {"chat": 2})
            assert one.source.done() is False


async def test_the_leader_scales_what_a_row_says_and_takes_another_hands_count() -> None:
    async with fake_api() as api:
        put(api, version(live=2, failure=VersionFailure(phase=Phase.ENGINE, reason="x")))
        api.put("deployments", "llm", deployment(1, ready=2))
        async with gateway(api) as one:
            await until(lambda: one.replicas() == 2)
            await until(lambda: one.row().failure is None)  # it has seen that they agree
            api.put("deployments", "llm", deployment(3))
            await until(lambda: one.row().live == 3)
            api.put("deployments", "llm", deployment(9))
            await until(lambda: one.replicas() == 3)


async def test_a_request_wakes_a_version_that_sleeps() -> None:
    async with fake_api() as api, replica() as (ip, _):
        put(api, version(0, live=0), count=0)
        async with gateway(api) as one:
            waiting = asyncio.create_task(one.front.request(token="t"))
            await until(lambda: one.replicas() == 1)
            assert one.row().live == 1
            api.put("endpointslices", "llm", version_slice(endpoint("chat-a", ip, ready=True)))
            assert (await waiting)[0] == 200


async def test_the_lease_is_given_back_as_soon_as_it_is_told_to_stop() -> None:
    async with fake_api() as api, gateway(api) as one:
        await until(lambda: ("leases", "llm", LEADER) in api.objects)
        assert (await one.get("/-/health"))[0] == 200
        one.gateway.stop()
        await until(lambda: api.get("leases", "llm", LEADER)["spec"]["holderIdentity"] == "")
        assert (await one.get("/-/health"))[0] == 503
        assert (await one.front.request("GET", "/-/health", token=None))[0] == 503


async def test_the_internal_port_has_metrics_and_activity_and_the_public_one_has_not() -> None:
    async with fake_api() as api, replica() as (ip, _):
        put(api, version(), ip, count=1)
        async with gateway(api) as one:
            await one.front.request(token="t")
            assert "inferform_gateway_requests_total" in (await one.get("/metrics"))[1]
            activity = GatewayActivity.from_json((await one.get("/-/activity"))[1])
            assert activity.services["chat"][HASH].requests == 1
            assert (await one.front.request("GET", "/-/activity", token=None))[0] == 404
            pods = [Pod("g-1", "127.0.0.1", True, False), Pod("gone", "127.0.0.2", True, False)]
            async with Peers("g-2", lambda: pods, port=one.internal) as peers:
                assert [each.gateway for each in await peers.others()] == ["g-1"]
            async with Peers("g-1", lambda: pods[:1], port=one.internal) as peers:
                assert list(await peers.others()) == []


async def test_a_route_that_cannot_be_read_leaves_the_service_as_it_was() -> None:
    async with fake_api() as api, replica() as (ip, _):
        put(api, version(), ip, count=1)
        async with gateway(api) as one:
            broken = route_map(route())
            broken["data"][ROUTE_KEY] = "{"
            api.put("configmaps", "llm", broken)
            api.put("secrets", "llm", secret(chat="u"))
            await until(lambda: one.gateway.services["chat"].view.tokens == ("u",))
            assert (await one.front.request(token="u"))[0] == 200
