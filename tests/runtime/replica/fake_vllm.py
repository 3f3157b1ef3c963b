"""A replica of method vllm whose engine's server is scripted, and knows what it was asked."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from runtime.contract.version import EngineKind, Method, VersionTemplate
from runtime.gateway.pool import ReplicaPool
from runtime.replica.engines.base import Load
from runtime.replica.engines.scripted import ScriptedEngine
from tests.runtime.replica.harness import Running, running

EVENTS = (
    b'data: {"id":"c","choices":[{"index":0,"text":" a"}]}\n\n',
    b'data: {"id":"c","choices":[{"index":0,"text":" b"}]}\n\n',
)
USAGE = b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":4,"total_tokens":9,"completion_tokens":5}}\n\n'
DONE = b"data: [DONE]\n\n"
REFUSED = b'{"error":{"message":"The model `x` does not exist.","type":"NotFoundError","param":"model","code":404}}'


class FakeVllm(ScriptedEngine):
    """An engine whose server is scripted; knows what it was asked."""

    pool: ReplicaPool

    def __init__(self) -> None:
        super().__init__(VersionTemplate(method=Method.VLLM, engine=EngineKind.VLLM))
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.queue = self.flooded = 0
        self.left = asyncio.Event()
        self.closes = False

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        yield

    def load(self) -> Load:
        return Load(queue=self.queue)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if self.closes:
            self.closes = False
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        self.asked.append((request.method, request.raw_path, dict(request.headers), body))
        if b'"x"' in body:
            return web.Response(status=404, body=REFUSED, content_type="application/json")
        if b'"stream": true' not in body:
            return web.Response(body=b'{"choices":[{"text":"a"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}')
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Own": "kept"})
        await stream.prepare(request)
        try:
            for event in EVENTS:
                await stream.write(event)
                await asyncio.sleep(0)
            if b"flood" in body:
                while True:
                    await stream.write(EVENTS[0] * 1000)
                    self.flooded += 1
            if b"endless" in body:
                while True:
                    await asyncio.sleep(0.01)
                    await stream.write(EVENTS[0])
            if b"breaks" in body:
                assert request.transport is not None
                request.transport.abort()
                return stream
            if b"include_usage" in body:
                await stream.write(USAGE)
            await stream.write(DONE)
        except (ConnectionError, asyncio.CancelledError):
            self.left.set()
            raise
        return stream


@asynccontextmanager
async def serving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any
) -> AsyncIterator[tuple[Running, FakeVllm]]:
    vllm = FakeVllm()

    async def prepared(*_: Any) -> FakeVllm:
        return vllm

    monkeypatch.setattr("runtime.replica.replica.prepare_engine", prepared)
    with tempfile.TemporaryDirectory(prefix="if-") as folder:
        socket = str(Path(folder) / "v.sock")
        runner = web.ServerRunner(web.Server(vllm.answer, handler_cancellation=True), shutdown_timeout=0.1)  # type: ignore[arg-type]
        await runner.setup()
        await web.UnixSite(runner, socket).start()
        vllm.pool = ReplicaPool(f"unix:{socket}", asyncio.get_running_loop())
        async with running(tmp_path, method=Method.VLLM, engine=EngineKind.VLLM, **settings) as replica:
            yield replica, vllm
        vllm.pool.close()
        await runner.cleanup()
