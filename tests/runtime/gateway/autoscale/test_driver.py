"""The driver on a fake clock: what it looks at, whom it asks, what it has changed."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from runtime.contract.activity import GatewayActivity, VersionCounts
from runtime.contract.host import Endpoint, GatewayView, Scale, VersionView
from runtime.contract.phases import Phase
from runtime.contract.replica import ReplicaStatus
from runtime.contract.scaling import ScaleMetric, ScaleTarget, Scaling
from runtime.contract.version import Bounds
from runtime.gateway.autoscale.driver import AGAIN_SECONDS, Autoscaler
from runtime.gateway.autoscale.host import HostScaler
from runtime.gateway.autoscale.ports import ScaleFailed
from runtime.gateway.autoscale.queues import waiting_inside
from runtime.gateway.gateway import Gateway
from runtime.gateway.record import Records
from tests.runtime.gateway.harness import until, view_of


class Recorded:
    """A Scaler that keeps what it was asked, and refuses while `refuses`."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, int]] = []
        self.refuses = False

    async def scale(self, service: str, hash: str, replicas: int, reason: str) -> None:
        assert reason
        self.calls.append((service, hash, replicas))
        if self.refuses:
            raise ScaleFailed("not now")


class Neighbours:
    """Other gateways."""

    def __init__(self) -> None:
        self.seen: tuple[GatewayActivity, ...] = ()

    async def others(self) -> Sequence[GatewayActivity]:
        return self.seen


def endpoints(count: int) -> list[Endpoint]:
    return [Endpoint(replica=f"r{number}", address=f"unix:/r{number}", ready=True) for number in range(count)]


def seen_by_gateway(live: int, *, low: int = 0, high: int = 8, leased: bool = False, **scaling: Any) -> GatewayView:
    view = view_of({"v1": endpoints(live)})
    version = VersionView(bounds=Bounds(min=low, max=high), scaling=Scaling(**scaling), live=live, leased=leased)
    service = view.services["chat"].model_copy(update={"versions": {"V1": version}})
    return view.model_copy(update={"services": {"chat": service}})


class Bench:
    """A gateway, its autoscaler, and everything around it in the test's hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.scaler, self.neighbours = Recorded(), Neighbours()
        self.waiting: int | None = None
        self.asked: list[int] = []
        self.gateway = Gateway("one", asyncio.get_running_loop(), Records(log=None, prefix="x", only_errors=False))
        self.autoscaler = Autoscaler(
            self.gateway, self.scaler, self.neighbours, clock=lambda: self.now, utc=lambda: 1.8e9, queues=self._queues
        )

    async def _queues(self, replicas: Sequence[Endpoint]) -> int | None:
        self.asked.append(len(replicas))
        return self.waiting

    async def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.now += 1
            await self.autoscaler.look()


QPS = ScaleTarget(metric=ScaleMetric.QPS, value=10)


async def test_a_held_request_wakes_a_version_and_one_call_does_it() -> None:
    bench = Bench()
    bench.gateway.apply(seen_by_gateway(0))
    held = asyncio.create_task(bench.gateway.services["chat"].acquire(None, hold_until=1e9))
    await asyncio.sleep(0)
    await bench.look(3)
    assert bench.scaler.calls == [("chat", "V1", 1)]
    held.cancel()


async def test_what_other_gateways_see_counts_too() -> None:
    bench = Bench()
    bench.gateway.apply(seen_by_gateway(2, low=1, target=QPS))
    for second in range(12):
        counts = VersionCounts(requests=second * 46)
        bench.neighbours.seen = (GatewayActivity(gateway="two", services={"chat": {"V1": counts}}),)
        await bench.look()
    assert bench.scaler.calls[-1] == ("chat", "V1", 5)
    assert bench.gateway.decisions["chat", "V1"].replicas == 5


async def test_a_request_that_only_another_gateway_holds_wakes_a_version() -> None:
    bench = Bench()
    bench.gateway.apply(seen_by_gateway(0))
    bench.neighbours.seen = (GatewayActivity(gateway="two", services={"chat": {"V1": VersionCounts(held=1)}}),)
    await bench.look()
    assert bench.scaler.calls == [("chat", "V1", 1)]


async def test_a_gateway_that_drains_or_has_no_view_scales_nothing() -> None:
    bench = Bench()
    await bench.look()
    bench.gateway.apply(seen_by_gateway(0))
    bench.gateway.draining = True
    bench.neighbours.seen = (GatewayActivity(gateway="two", services={"chat": {"V1": VersionCounts(held=1)}}),)
    await bench.look(2)
    assert bench.scaler.calls == []
    assert bench.gateway.decisions == {}


async def test_a_lease_makes_it_forget_so_that_the_seeded_count_stands_for_a_window() -> None:
    bench = Bench()
    bench.gateway.apply(seen_by_gateway(1, low=1, target=QPS, down_seconds=30.0))
    await bench.look(60)
    bench.gateway.apply(seen_by_gateway(1, low=1, target=QPS, down_seconds=30.0, leased=True))
    await bench.look(60)
    bench.gateway.apply(seen_by_gateway(4, low=1, target=QPS, down_seconds=30.0))
    await bench.look(29)
    assert bench.scaler.calls == []
    await bench.look(3)
    assert bench.scaler.calls == [("chat", "V1", 1)]


async def test_a_count_that_does_not_show_is_asked_for_again_and_a_refusal_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    bench.gateway.apply(seen_by_gateway(0))
    bench.scaler.refuses = True
    bench.neighbours.seen = (GatewayActivity(gateway="two", services={"chat": {"V1": VersionCounts(held=1)}}),)
    await bench.look(int(2 * AGAIN_SECONDS) + 1)
    assert bench.scaler.calls == [("chat", "V1", 1)] * 3
    assert [record.getMessage() for record in caplog.records] == ["chat/V1: not scaled to 1: not now"]


async def test_replicas_are_asked_for_their_queue_only_where_it_is_the_target() -> None:
    bench = Bench()
    bench.gateway.apply(seen_by_gateway(2, low=1, target=QPS))
    await bench.look(2)
    assert bench.asked == []
    bench.gateway.apply(seen_by_gateway(2, low=1, target=ScaleTarget(metric=ScaleMetric.QUEUE, value=5)))
    bench.waiting = 30
    await bench.look()
    assert (bench.asked, bench.scaler.calls) == ([2], [("chat", "V1", 6)])


async def test_run_ends_when_it_is_cancelled_and_leaves_no_decision_behind() -> None:
    bench = Bench()
    bench.gateway.apply(seen_by_gateway(1, low=1))
    running = asyncio.create_task(bench.autoscaler.run())
    await until(lambda: bench.gateway.decisions)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert bench.gateway.decisions == {}


async def test_the_hosts_scaler_puts_the_count_on_the_admin_socket_and_passes_on_a_refusal() -> None:
    taken: list[tuple[str, Scale]] = []

    async def put(request: web.Request) -> web.Response:
        taken.append((request.path, Scale.from_json(await request.read())))
        return web.Response(status=200 if len(taken) == 1 else 400, text="outside the bounds")

    app = web.Application()
    app.router.add_put("/v1/services/{service}/versions/{hash}/scale", put)
    runner = web.AppRunner(app)
    await runner.setup()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "host.sock"
        scaler = HostScaler(path)
        with pytest.raises(ScaleFailed, match="cannot be reached"):
            await scaler.scale("chat", "V1", 3, "load")
        await web.UnixSite(runner, str(path)).start()
        await scaler.scale("chat", "V1", 3, "load")
        with pytest.raises(ScaleFailed, match="answered 400: outside the bounds"):
            await scaler.scale("chat", "V1", 9, "load")
        await runner.cleanup()
    assert taken[0] == ("/v1/services/chat/versions/V1/scale", Scale(replicas=3, reason="load"))


async def test_the_queue_is_the_sum_over_the_replicas_that_answer() -> None:
    async def status(request: web.Request) -> web.Response:
        told = ReplicaStatus(service="chat", replica="r", hash="V1", phase=Phase.READY, since=0, queue=4)
        return web.Response(text=told.to_json())

    app = web.Application()
    app.router.add_get("/-/status", status)
    runner = web.AppRunner(app)
    await runner.setup()
    with tempfile.TemporaryDirectory() as folder:
        socket = f"unix:{folder}/r.sock"
        await web.UnixSite(runner, f"{folder}/r.sock").start()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[-1][1]
        addresses = [socket, f"http://127.0.0.1:{port}", f"unix:{folder}/gone.sock"]
        found = [Endpoint(replica=address, address=address, ready=True) for address in addresses]
        assert await waiting_inside(found) == 8
        assert await waiting_inside(found[2:]) is None
        assert await waiting_inside([]) is None
        await runner.cleanup()
