"""A host in a process of its own, its admin API as a client, and the certainty that nothing of it is left."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from runtime.contract.host import VersionRecord, VersionState
from runtime.contract.version import Bounds, EngineKind, Method, VersionTemplate
from runtime.host.folder import Folder
from runtime.host.process import scan

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


class HostUnderTest:
    """Starts and kills a host; calls its API."""

    def __init__(self, state: Path) -> None:
        self.folder = Folder(state)
        self.process: subprocess.Popen[bytes] | None = None
        self.session = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(self.folder.host_socket)))

    def launch(self, stack: str = "organization/test/dev") -> subprocess.Popen[bytes]:
        arguments = [sys.executable, str(HERE / "fake_host.py"), "--state", str(self.folder.state), "--stack", stack]
        return subprocess.Popen(arguments, stderr=subprocess.PIPE, start_new_session=True)

    async def start(self) -> None:
        self.process = self.launch()
        await self.until_serving()

    async def until_serving(self) -> Answer:
        assert self.process is not None
        for _ in range(200):
            with suppress(aiohttp.ClientError, OSError):
                info = await self.get("/v1/host")
                if info["pid"] == self.process.pid:
                    return info
            if self.process.poll() is not None:
                raise AssertionError(self.process.stderr.read().decode() if self.process.stderr else "")
            await asyncio.sleep(0.05)
        raise AssertionError("the host does not serve")

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()

    async def call(self, method: str, path: str, body: Any = None, epoch: int | None = None) -> Answer:
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
        if self.process is not None:
            self.kill()
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        self.folder.remove()


@pytest.fixture
async def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[HostUnderTest]:
    with tempfile.TemporaryDirectory(prefix="if-") as short:  # a socket's path has at most 107 bytes
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        under_test = HostUnderTest(tmp_path / "state")
        await under_test.start()
        yield under_test
        await under_test.end()
