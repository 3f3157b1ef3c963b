"""What autoscalers of the cluster are told: the sums of all gateways, as an HPA and as KEDA ask for them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

import aiohttp
import pytest

from runtime.contract.activity import GatewayActivity, VersionCounts
from runtime.contract.cluster import HASH, SERVICE
from runtime.contract.host import Endpoint, GatewayView, VersionView
from runtime.contract.scaling import ScaleMetric, ScaleTarget, Scaling
from runtime.contract.version import Bounds
from runtime.gateway.autoscale.measure import Measures
from runtime.gateway.autoscale.total import total
from runtime.gateway.cluster.external_metrics import GROUP_PATH, BadSelector, external_metrics, selected
from runtime.gateway.cluster.internal_port import internal_port
from runtime.gateway.cluster.totals import Totals
from runtime.gateway.gateway import Gateway
from runtime.gateway.record import Records
from tests.runtime.gateway.cluster.test_source import listen
from tests.runtime.gateway.harness import view_of

QPS = ScaleTarget(metric=ScaleMetric.QPS, value=10)
KEY = "chat", "V1"


def viewed(by: Literal["gateway", "hpa", "keda"], count: int, target: ScaleTarget = QPS) -> GatewayView:
    view = view_of(
        {"v1": [Endpoint(replica=f"r{each}", address=f"unix:/r{each}", ready=True) for each in range(count)]}
    )
    version = VersionView(bounds=Bounds(min=0, max=8), scaling=Scaling(by=by, target=target, activation=2), live=count)
    service = view.services["chat"].model_copy(update={"versions": {"V1": version}})
    return view.model_copy(update={"services": {"chat": service}})


class Bench:
    """A gateway, the other gateways, and the time."""

    def __init__(self) -> None:
        self.now, self.seconds, self.asked = 100.0, 0, 0
        self.gateway = Gateway("one", asyncio.get_running_loop(), Records(log=None, prefix="x", only_errors=False))
        self.totals = Totals(self.gateway, self, clock=lambda: self.now)

    async def others(self) -> Sequence[GatewayActivity]:
        self.asked += 1
        counts = VersionCounts(requests=self.seconds * 46)
        return (GatewayActivity(gateway="two", services={"chat": {"V1": counts}}),)

    async def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.now += 1
            self.seconds += 1
            await self.totals.look()


async def test_every_gateway_tells_what_all_of_them_saw_once_it_has_watched() -> None:
    bench = Bench()
    bench.gateway.apply(viewed("hpa", 2))
    await bench.look(3)
    assert bench.totals.known[KEY].value is None, "it began three seconds ago"
    await bench.look(10)
    assert bench.totals.known[KEY].value == pytest.approx(46)


async def test_nobody_is_asked_while_the_gateways_scale_themselves() -> None:
    bench = Bench()
    bench.gateway.apply(viewed("gateway", 2))
    await bench.look(2)
    assert (bench.asked, bench.totals.known) == (0, {})


async def test_a_request_that_waits_at_zero_asks_for_what_it_wakes() -> None:
    bench = Bench()
    bench.gateway.apply(viewed("keda", 0))
    held = asyncio.create_task(bench.gateway.services["chat"].acquire(None, hold_until=1e9))
    await asyncio.sleep(0)
    await bench.look()
    value = bench.totals.known[KEY].value
    assert value is not None
    assert value >= 20
    held.cancel()


@pytest.mark.parametrize(
    ("metric", "value"),
    [("qps", 12.0), ("concurrency", 3.0), ("queue", 4.0), ("ttftMs", 600.0)],
)
def test_a_number_is_of_all_replicas_together(metric: str, value: float) -> None:
    scaling = Scaling(by="hpa", target=ScaleTarget(metric=ScaleMetric(metric), value=5))
    seen = Measures(qps=12, concurrency=3, queue=4, ttft_ms=200)
    assert total(scaling, seen, ready=3, waiting=False) == value
    assert total(scaling, Measures(0, 0, None, None), ready=3, waiting=False) == 0


def test_what_nobody_knows_is_no_number() -> None:
    seen = Measures(qps=12, concurrency=3, queue=None, ttft_ms=None)
    for metric in (ScaleMetric.QUEUE, ScaleMetric.TTFT_MS):
        scaling = Scaling(by="hpa", target=ScaleTarget(metric=metric, value=5))
        assert total(scaling, seen, ready=3, waiting=False) is None


def test_a_selector_is_labels_that_are_equal() -> None:
    assert selected("inferform.io/hash=V1, inferform.io/service==chat") == {HASH: "V1", SERVICE: "chat"}
    assert selected("") == {}
    for bad in ("a in (b)", "!a", "a!=b", "a"):
        with pytest.raises(BadSelector):
            selected(bad)


@asynccontextmanager
async def served(totals: Totals, gateway: Gateway) -> AsyncIterator[tuple[str, str, aiohttp.ClientSession]]:
    tls, plain = listen(), listen()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with (
        external_metrics(totals, "llm", tls),
        internal_port(gateway, plain, totals),
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
    ):
        base = f"https://127.0.0.1:{tls.getsockname()[1]}{GROUP_PATH}"
        yield base, f"http://127.0.0.1:{plain.getsockname()[1]}/-/scale", session


async def test_an_hpa_and_keda_read_the_same_number() -> None:
    bench = Bench()
    bench.gateway.apply(viewed("hpa", 2))
    await bench.look(13)
    async with served(bench.totals, bench.gateway) as (base, scale, session):

        async def get(url: str, **query: str) -> tuple[int, dict[str, Any]]:
            async with session.get(url, params=query) as answer:
                return answer.status, await answer.json()

        _, found = await get(base)
        assert found["kind"] == "APIResourceList"
        assert {each["name"] for each in found["resources"]} == {
            "inferform_qps", "inferform_concurrency", "inferform_queue", "inferform_ttft_ms",
        }  # fmt: skip
        wanted = {"labelSelector": f"{HASH}=V1,{SERVICE}=chat"}
        code, found = await get(f"{base}/namespaces/llm/inferform_qps", **wanted)
        assert (code, found["kind"]) == (200, "ExternalMetricValueList")
        [item] = found["items"]
        assert item["value"] == "46000m"
        assert item["metricLabels"] == {SERVICE: "chat", HASH: "V1"}
        for elsewhere in ("llm/inferform_queue", "other/inferform_qps"):
            assert (await get(f"{base}/namespaces/{elsewhere}", **wanted))[1]["items"] == []
        assert (await get(f"{base}/namespaces/llm/inferform_qps", labelSelector=f"{HASH}=V2"))[1]["items"] == []
        assert (await get(f"{base}/namespaces/llm/cpu"))[0] == 404
        assert (await get(f"{base}/namespaces/llm/inferform_qps", labelSelector="a in (b)"))[0] == 400

        assert await get(scale, service="chat", version="V1") == (200, {"metric": "qps", "value": pytest.approx(46)})
        assert (await get(scale, service="chat", version="V2"))[0] == 404
        bench.totals.known = {}
        assert (await get(scale, service="chat", version="V1"))[0] == 404
