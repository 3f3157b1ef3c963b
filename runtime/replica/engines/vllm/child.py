"""vLLM's server as a child: start, follow its log, ask whether it is well, stop, and never outlive the replica."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import re
import signal
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path

import aiohttp

from runtime.contract.phases import Phase
from runtime.replica.engines.base import EngineFailed, Report
from runtime.replica.engines.vllm.command import Start

POLL_SECONDS = 0.25
STOP_SECONDS = 10.0
KEPT_LINES = 200
PR_SET_PDEATHSIG = 1
_SHARDS = re.compile(r"checkpoint shards:\s+(\d+)%")
_REASON = re.compile(r"\b([A-Z]\w*(?:Error|Exception)): (.+)")


class VllmChild:
    """One server process. Its output is copied to ours, so that it lies in the replica's log."""

    def __init__(self, start: Start, socket: Path) -> None:
        self._start, self._socket = start, socket
        self._process: asyncio.subprocess.Process | None = None
        self._follower: asyncio.Task[None] | None = None
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self.session: aiohttp.ClientSession | None = None

    async def start(self, report: Report) -> aiohttp.ClientSession:
        """Start it and wait until /health answers; the session reaches it. Raises EngineFailed when it ends before."""
        self._socket.unlink(missing_ok=True)
        self._process = await asyncio.create_subprocess_exec(
            *self._start.words,
            env={**os.environ, **self._start.environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=1 << 20,
            preexec_fn=_die_with_parent,
        )
        self._follower = asyncio.create_task(self._follow(report))
        connector = aiohttp.UnixConnector(path=str(self._socket), limit=0)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        self.session = aiohttp.ClientSession(
            "http://vllm",
            connector=connector,
            timeout=timeout,
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Content-Type", "Accept", "Accept-Encoding"),
        )
        while not await self._well():
            if self._process.returncode is not None:
                await self._follower
                raise EngineFailed(f"vLLM ended while it started ({self._reason()})")
            await asyncio.sleep(POLL_SECONDS)
        return self.session

    async def watch(self, lost: Callable[[str], None]) -> None:
        """Wait for its end, and say so; cancelled before an orderly stop."""
        assert self._process is not None
        code = await self._process.wait()
        lost(f"vLLM ended with code {code}: {self._reason()}")

    async def stop(self) -> None:
        """End it and everything that it started."""
        if self.session is not None:
            await self.session.close()
        process = self._process
        if process is not None and process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()
        if self._follower is not None:
            self._follower.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._follower
        self._socket.unlink(missing_ok=True)

    async def _well(self) -> bool:
        assert self.session is not None
        try:
            async with self.session.get("/health", timeout=aiohttp.ClientTimeout(total=5)) as reply:
                return reply.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    async def _follow(self, report: Report) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        with contextlib.suppress(ValueError):  # a line beyond the limit ends the following, not the engine
            async for raw in self._process.stdout:
                line = raw.decode(errors="replace").rstrip()
                print(line, file=sys.stderr, flush=True)
                self._lines.append(line)
                if shards := _SHARDS.search(line):
                    report(Phase.WEIGHTS, f"{shards[1]} % of the checkpoint")
                elif "Loading weights took" in line or "Warming up" in line:
                    report(Phase.ENGINE, "vLLM warms up")

    def _reason(self) -> str:
        """The last line that names an error, which is closest to the cause that vLLM itself gives."""
        named = [found for line in self._lines if (found := _REASON.search(line))]
        first = next((found for found in named if "EngineCore" not in found[2] and "Engine core" not in found[2]), None)
        return f"{first[1]}: {first[2]}" if first else (self._lines[-1] if self._lines else "it wrote nothing")


def _die_with_parent() -> None:
    """In the child, before exec: a replica that is killed takes vLLM's server along (Linux)."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
