"""Runs the real application of a replica with the scripted engine, and speaks raw HTTP to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from runtime.contract.replica import Limits, Listen, ReplicaSpec, ServiceSettings, Wire
from runtime.contract.version import EngineKind, Method, VersionTemplate
from runtime.replica.app import App
from runtime.replica.replica import Replica
from runtime.replica.serve import address_of, open_socket
from runtime.replica.settings import SettingsFile

TOKEN = "YWJjZGVmMDEyMw=="
SERVICE = "demo"
PREFIX = f"/api/predict/{SERVICE}"


@dataclass
class Answer:
    """One HTTP answer as it was on the wire. `chunks` are the chunks' payloads when it was chunked."""

    status: int
    reason: str
    headers: CIMultiDict[str]
    body: bytes
    chunks: list[bytes] = field(default_factory=list)
    complete: bool = True

    def json(self) -> Any:
        return json.loads(self.body)

    def records(self) -> list[Any]:
        """The NUL-terminated records of section 4.5."""
        assert self.body.endswith(b"\0")
        return [json.loads(record) for record in self.body[:-1].split(b"\0")]


@dataclass
class Running:
    """A replica that listens on a loopback port."""

    replica: Replica
    host: str
    port: int
    settings_file: Path

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}{PREFIX}"

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self.host, self.port)

    async def ask(
        self, body: bytes | str | dict[str, Any] | None = None, *, path: str = PREFIX, method: str = "", **headers: str
    ) -> Answer:
        """One request on its own connection; a dict is sent as JSON; the token is added unless `Authorization` is."""
        reader, writer = await self.connect()
        try:
            writer.write(request_bytes(body, path=path, method=method, **headers))
            return await read_answer(reader, method)
        finally:
            writer.close()
            await writer.wait_closed()

    def change(self, **settings: Any) -> None:
        """Rewrite the settings file and let the replica look at it."""
        write_settings(self.settings_file, **settings)
        self.replica.settings.refresh()


def request_bytes(
    body: bytes | str | dict[str, Any] | None = None, *, path: str = PREFIX, method: str = "", **headers: str
) -> bytes:
    """A request as bytes. Header names are written with `_` for `-`; an empty value leaves the header out."""
    if isinstance(body, dict):
        body = json.dumps(body)
        headers.setdefault("Content_Type", "application/json")
    if isinstance(body, str):
        body = body.encode()
    method = method or ("GET" if body is None else "POST")
    lines = {"Host": "replica", "Authorization": TOKEN}
    if body is not None:
        lines["Content-Length"] = str(len(body))
    lines.update({name.replace("_", "-"): value for name, value in headers.items()})
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + (body or b"")


async def read_answer(reader: asyncio.StreamReader, method: str = "") -> Answer:
    """Read one answer, chunk by chunk when it is chunked; `complete` is False when it broke off."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.split("\r\n")[:-2]
    _, status, reason = first.split(" ", 2)
    headers: CIMultiDict[str] = CIMultiDict(
        (name, value) for name, _, value in (line.partition(": ") for line in lines)
    )
    answer = Answer(int(status), reason, headers, b"")
    try:
        if method == "HEAD":
            return answer
        if headers.get("Transfer-Encoding") == "chunked":
            while size := int(await reader.readuntil(b"\r\n"), 16):
                answer.chunks.append((await reader.readexactly(size + 2))[:-2])
            await reader.readexactly(2)
            answer.body = b"".join(answer.chunks)
        elif "Content-Length" in headers:
            answer.body = await reader.readexactly(int(headers["Content-Length"]))
        else:
            answer.body = await reader.read()
    except (asyncio.IncompleteReadError, ConnectionResetError):
        answer.complete, answer.body = False, b"".join(answer.chunks)
    return answer


async def until(condition: Callable[[], bool], seconds: float = 5) -> None:
    """Wait for a condition of the running replica, which has no event of its own."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def write_settings(path: Path, **settings: Any) -> None:
    settings.setdefault("tokens", (TOKEN,))
    fresh = path.with_suffix(".new")
    fresh.write_text(ServiceSettings(**settings).to_json())
    fresh.replace(path)


@asynccontextmanager
async def running(
    folder: Path,
    engine_args: dict[str, Any] | None = None,
    *,
    method: Method = Method.STANDARD,
    engine: EngineKind = EngineKind.SCRIPTED,
    template: dict[str, Any] | None = None,
    start: bool = True,
    limits: dict[str, Any] | None = None,
    wire: dict[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[Running]:
    """A replica with the scripted engine in the test's own event loop."""
    settings_file = folder / "settings.json"
    write_settings(settings_file, limits=Limits(**(limits or {})), wire=Wire(**(wire or {})), **settings)
    spec = ReplicaSpec(
        service=SERVICE,
        replica="demo-0123456789-0",
        hash="0123456789",
        template=VersionTemplate(method=method, engine=engine, engine_args=engine_args or {}, **(template or {})),
        listen=Listen(),
        settings_file=str(settings_file),
        data_folder=str(folder / "data"),
        cache_folder=str(folder / "cache"),
    )
    replica = Replica(spec, SettingsFile(settings_file))
    runner = web.ServerRunner(App(replica).server(), shutdown_timeout=0.1)
    await runner.setup()
    listener = open_socket(spec.listen)
    await web.SockSite(runner, listener).start()
    host, port = address_of(listener).removeprefix("http://").split(":")
    try:
        if start:
            assert await replica.start(), replica.status().error
        yield Running(replica, host, int(port), settings_file)
    finally:
        await runner.cleanup()
        await replica.stop()
