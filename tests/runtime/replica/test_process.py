"""`python -m runtime.replica` as its host runs it: a socket, a settings file, SIGTERM."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.runtime.replica.harness import Answer, read_answer, request_bytes, write_settings


@asynccontextmanager
async def process(
    folder: Path, engine_args: dict[str, Any], **template: Any
) -> AsyncIterator[asyncio.subprocess.Process]:
    write_settings(folder / "settings.json")
    spec = {
        "service": "demo", "replica": "demo-0", "hash": "0123456789",
        "template": {"method": "standard", "engine": "scripted", "engineArgs": engine_args, **template},
        "listen": {"socket": str(folder / "r.sock")}, "settingsFile": str(folder / "settings.json"),
        "dataFolder": str(folder), "cacheFolder": str(folder),
    }  # fmt: skip
    (folder / "spec.json").write_text(json.dumps(spec))
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "runtime.replica", "--spec", str(folder / "spec.json"), "--nonce", "n",
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


async def logged(child: asyncio.subprocess.Process, text: str) -> None:
    assert child.stderr is not None
    async with asyncio.timeout(30):
        while text not in (await child.stderr.readline()).decode():
            assert child.returncode is None


async def ask(folder: Path, body: Any = None, path: str = "/") -> Answer:
    reader, writer = await asyncio.open_unix_connection(folder / "r.sock")
    writer.write(request_bytes(body, path=path))
    try:
        return await read_answer(reader)
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_replica_listens_privately_answers_and_drains_on_sigterm(tmp_path: Path) -> None:
    async with process(tmp_path, {"text": "a b c", "tokensPerSecond": 10}) as child:
        await logged(child, "phase firstToken")
        assert stat.S_IMODE(os.stat(tmp_path / "r.sock").st_mode) == 0o600
        late = asyncio.create_task(ask(tmp_path, {"prompt": "Q"}))
        async with asyncio.timeout(5):
            while not json.loads((await ask(tmp_path, path="/-/status")).body)["running"]:
                pass
        child.send_signal(signal.SIGTERM)
        assert (await late).json()["response"] == "a b c"
        assert await child.wait() == 0
    assert not (tmp_path / "r.sock").exists()


async def test_a_failed_start_shows_why_and_exits_with_1(tmp_path: Path) -> None:
    async with process(tmp_path, {"failStart": {"phase": "weights", "reason": "no such file"}}) as child:
        await logged(child, "listening")
        status = json.loads((await ask(tmp_path, path="/-/status")).body)
        assert (status["phase"], status["detail"], status["error"]) == ("failed", "weights", "no such file")
        assert await child.wait() == 1
        assert child.stderr is not None
        log = (await child.stderr.read()).decode()
    assert "failed in phase weights: no such file" in log
    assert "Traceback" not in log


async def test_a_drain_is_bounded(tmp_path: Path) -> None:
    async with process(tmp_path, {"text": "a b", "tokensPerSecond": 0.01}, drainSeconds=1) as child:
        await logged(child, "phase firstToken")
        stuck = asyncio.create_task(ask(tmp_path, {"prompt": "Q", "use_stream_chat": True}))
        await logged(child, "phase ready")
        child.send_signal(signal.SIGTERM)
        assert await child.wait() == 0
        assert not (await stuck).complete


async def test_a_spec_that_cannot_be_read_is_a_usage_error_by_place(tmp_path: Path) -> None:
    write_settings(tmp_path / "settings.json")
    (tmp_path / "spec.json").write_text('{"service": "demo", "nope": 1}')
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "runtime.replica", "--spec", str(tmp_path / "spec.json"), "--nonce", "n",
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, log = await child.communicate()
    assert child.returncode == 2
    assert b"nope" in log
    assert b"Traceback" not in log
