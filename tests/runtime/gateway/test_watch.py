"""The link to the host: views are applied and reported at once, and a dead host changes nothing."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from runtime.contract.host import GatewayReport, GatewayView
from runtime.gateway.gateway import Gateway
from runtime.gateway.record import Records
from runtime.gateway.watch import Watch, follow_file
from tests.runtime.gateway.harness import until, view_of


class ScriptedHost:
    """Sends the lines it is given to every watch, and keeps the reports."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.reports: list[GatewayReport] = []
        self.watches = 0
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/v1/watch", self._watch)
        app.router.add_post("/v1/gateway/report", self._report)
        self._runner = web.AppRunner(app, shutdown_timeout=0.01)
        await self._runner.setup()
        await web.UnixSite(self._runner, str(self.path)).start()

    async def stop(self) -> None:
        if self._runner is not None:
            self.lines.put_nowait(None)
            await self._runner.cleanup()
            self._runner = None

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        self.watches += 1
        answer = web.StreamResponse()
        await answer.prepare(request)
        while (line := await self.lines.get()) is not None:
            await answer.write(line)
        return answer

    async def _report(self, request: web.Request) -> web.Response:
        self.reports.append(GatewayReport.from_json(await request.read()))
        return web.Response(status=204)


@pytest.fixture
async def host() -> AsyncIterator[ScriptedHost]:
    with tempfile.TemporaryDirectory(prefix="gw-") as folder:
        scripted = ScriptedHost(Path(folder) / "host.sock")
        await scripted.start()
        yield scripted
        await scripted.stop()


@pytest.fixture
async def gateway(host: ScriptedHost) -> AsyncIterator[Gateway]:
    made = Gateway("gw-1", asyncio.get_running_loop(), Records())
    watching = asyncio.create_task(Watch(made, host.path).run())
    yield made
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


def line(view: GatewayView) -> bytes:
    return view.to_json().encode() + b"\n"


async def test_a_view_is_applied_and_reported_at_once(host: ScriptedHost, gateway: Gateway) -> None:
    begin = asyncio.get_running_loop().time()
    for revision in (1, 2, 3):
        host.lines.put_nowait(line(view_of({"v1": []}, revision=revision)))
        await until(lambda revision=revision: host.reports and host.reports[-1].revision == revision)  # type: ignore[misc]
    assert asyncio.get_running_loop().time() - begin < 0.9
    report = host.reports[-1]
    assert (report.gateway, report.incarnation, report.generations) == ("gw-1", "i", {"chat": 3})


async def test_a_view_that_comes_in_pieces_or_with_others_is_read_whole(host: ScriptedHost, gateway: Gateway) -> None:
    many = {f"service_{number}": view_of({"v1": []}).services["chat"] for number in range(600)}
    data = line(GatewayView(incarnation="i", revision=1, services=many))
    assert len(data) > 200_000
    host.lines.put_nowait(data[:70_000])
    host.lines.put_nowait(data[70_000:])
    await until(lambda: len(gateway.services) == 600)
    host.lines.put_nowait(line(view_of({"v1": []}, revision=2)) + line(view_of({"v1": []}, revision=3)))
    await until(lambda: gateway.view is not None and gateway.view.revision == 3)
    assert list(gateway.services) == ["chat"]


async def test_without_its_host_the_gateway_keeps_the_last_view_and_comes_back(
    host: ScriptedHost, gateway: Gateway
) -> None:
    host.lines.put_nowait(line(view_of({"v1": []}, revision=7)))
    await until(lambda: gateway.view is not None)
    await host.stop()
    await asyncio.sleep(0.1)
    assert "chat" in gateway.services
    await host.start()
    host.lines.put_nowait(line(GatewayView(incarnation="second", revision=1)))
    await until(lambda: not gateway.services)
    await until(lambda: host.reports and host.reports[-1].incarnation == "second")
    assert host.watches >= 2


async def test_a_view_that_cannot_be_read_is_dropped_and_its_tokens_are_not_logged(
    host: ScriptedHost, gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    host.lines.put_nowait(line(view_of({"v1": []}, revision=7)))
    await until(lambda: gateway.view is not None)
    with caplog.at_level(logging.WARNING):
        host.lines.put_nowait(b'{"incarnation":"i","revision":8,"services":{"chat":{"tokens":"geheim"}}}\n')
        await until(lambda: caplog.records)
    assert gateway.view is not None
    assert gateway.view.revision == 7
    assert "services.chat.tokens" in caplog.text
    assert "geheim" not in caplog.text


async def test_an_endpoint_with_an_address_nobody_understands_keeps_the_last_view(
    host: ScriptedHost, gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    host.lines.put_nowait(line(view_of({"v1": []}, revision=7)))
    await until(lambda: gateway.view is not None)
    bad = view_of({"v1": []}, revision=8).to_json()
    host.lines.put_nowait(
        bad.replace('"V1":[]', '"V1":[{"replica":"a","address":"ftp://x","ready":true}]').encode() + b"\n"
    )
    await until(lambda: caplog.records)
    assert gateway.view is not None
    assert gateway.view.revision == 7


async def test_a_view_in_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "view.json"
    file.write_text(view_of({"v1": []}).to_json())
    gateway = Gateway("gw-1", asyncio.get_running_loop(), Records())
    following = asyncio.create_task(follow_file(gateway, file, 0.001))
    await until(lambda: gateway.services)
    fresh = tmp_path / "fresh.json"
    fresh.write_text(GatewayView(incarnation="i", revision=2).to_json())
    fresh.rename(file)
    await until(lambda: not gateway.services)
    following.cancel()
