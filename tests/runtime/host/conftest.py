"""A host in this process or in one of its own, a client of its admin API, and the certainty that nothing is left."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from runtime.contract.host import VersionRecord, VersionState
from runtime.contract.version import Bounds, EngineKind, Method, VersionTemplate
from runtime.host.api import serve
from runtime.host.folder import Folder
from runtime.host.host import Host
from runtime.host.process import scan
from tests.runtime.host.fake_host import COMMANDS

HERE = Path(__file__).parent


def template(**wishes: Any) -> VersionTemplate:
    return VersionTemplate(method=Method.STANDARD, engine=EngineKind.SCRIPTED, engine_args=wishes, drain_seconds=1)


def record(service: str = "chat", name: str = "v1", minimum: int = 1, maximum: int = 3, **wishes: Any) -> VersionRecord:
    described = template(**wishes)
    bounds = Bounds(min=minimum, max=maximum)
    return VersionRecord(service=service, name=name, hash=described.hash(), template=described, bounds=bounds)


class Answer(dict[str, Any]):
    """A JSON object and its status."""

    status = 200


class Client:
    """Calls the admin API of the host of one state folder, and knows which processes that host has."""

    def __init__(self, state: Path) -> None:
        self.folder = Folder(state)
        self.session = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(self.folder.host_socket)))

    async def call(self, method: str, path: str, body: Any = None, *, epoch: int | None = None) -> Answer:
        headers = {} if epoch is None else {"X-Inferform-Epoch": str(epoch)}
        data = None if body is None else body if isinstance(body, str) else json.dumps(body)
        async with self.session.request(method, f"http://host{path}", data=data, headers=headers) as response:
            parsed = json.loads(await response.text())
            answer = Answer(parsed if isinstance(parsed, dict) else {"list": parsed})
            answer.status = response.status
            return answer

    async def get(self, path: str) -> Answer:
        return await self.call("GET", path)

    async def declare(self, version: VersionRecord) -> str:
        """PUT a version; its path."""
        path = f"/v1/services/{version.service}/versions/{version.hash}"
        answer = await self.call("PUT", path, version.to_json())
        assert answer.status == 200, answer
        return path

    async def route(self, weights: dict[str, int], service: str = "chat", **more: Any) -> Answer:
        """PUT a route of `hash -> weight`; the names are the hashes."""
        versions = {f"v{digest}": {"hash": digest, "weight": weight} for digest, weight in weights.items()}
        table = {"service": service, "versions": versions, **more}
        return await self.call("PUT", f"/v1/services/{service}/route", table)

    async def run(self, version: VersionRecord, replicas: int = 1) -> str:
        """Declare, scale and wait until all are ready; the version's path."""
        path = await self.declare(version)
        answer = await self.call("PUT", f"{path}/scale", {"replicas": replicas})
        assert answer.status == 200, answer
        await self.until(path, lambda state: sum(replica.ready for replica in state.replicas) == replicas)
        return path

    async def state(self, path: str) -> VersionState:
        return VersionState.model_validate(dict(await self.get(path)))

    async def until(self, path: str, condition: Callable[[VersionState], bool], seconds: float = 10) -> VersionState:
        state = None
        for _ in range(int(seconds / 0.02)):
            state = await self.state(path)
            if condition(state):
                return state
            await asyncio.sleep(0.02)
        raise AssertionError(f"not so after {seconds} s: {state}")

    def processes(self) -> set[int]:
        """Pids of living replicas and gateways of this state folder."""
        return {found.pid for found in scan([f"{self.folder.specs}/", str(self.folder.host_socket)])}

    async def end(self) -> None:
        await self.session.close()
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        self.folder.remove()


class Daemon(Client):
    """A host in a process of its own, which may be killed."""

    process: subprocess.Popen[bytes] | None = None

    def launch(self, stack: str = "organization/test/dev") -> subprocess.Popen[bytes]:
        arguments = [sys.executable, str(HERE / "fake_host.py"), "--state", str(self.folder.state), "--stack", stack]
        return subprocess.Popen(arguments, stderr=subprocess.PIPE, start_new_session=True)

    async def start(self) -> None:
        self.process = self.launch()
        await self.until_serving()

    async def until_serving(self) -> Answer:
        assert self.process is not None
        for _ in range(400):
            with suppress(aiohttp.ClientError, OSError):
                info = await self.get("/v1/host")
                if info["pid"] == self.process.pid:
                    return info
            if self.process.poll() is not None:
                error = self.process.stderr.read().decode() if self.process.stderr else ""
                raise AssertionError(f"the host ended with {self.process.returncode}: {error}")
            await asyncio.sleep(0.03)
        raise AssertionError("the host does not serve")

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()

    async def end(self) -> None:
        if self.process is not None:
            self.kill()
        await super().end()


class Local(Client):
    """A host in this process: starts in no time, and its clock can be moved, or stopped at a moment."""

    stopped_at: float | None = None

    def now(self) -> float:
        return time.time() + self.ahead if self.stopped_at is None else self.stopped_at

    async def start(self) -> None:
        self.ahead = 0.0
        self.folder.make()
        self.host = Host(self.folder, "organization/test/dev", COMMANDS, self.now)
        await self.host.recover()
        self.server = serve(self.host)
        await self.server.__aenter__()
        self.loop = asyncio.create_task(self.host.run())

    async def end(self) -> None:
        self.host.leave()
        await self.loop
        await self.server.__aexit__(None, None, None)
        self.host.store.close()
        await super().end()


@pytest.fixture
def short_runtime_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A socket's path has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="if-") as short:
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        yield


@pytest.fixture
async def host(tmp_path: Path, short_runtime_folder: None) -> AsyncIterator[Local]:
    local = Local(tmp_path / "state")
    await local.start()
    yield local
    await local.end()


@pytest.fixture
async def two_gpus(tmp_path: Path, short_runtime_folder: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Local]:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    local = Local(tmp_path / "state")
    await local.start()
    yield local
    await local.end()


@pytest.fixture
async def daemon(tmp_path: Path, short_runtime_folder: None) -> AsyncIterator[Daemon]:
    process = Daemon(tmp_path / "state")
    await process.start()
    yield process
    await process.end()
