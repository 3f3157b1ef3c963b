"""`python -m tests.bench.vllm_passthrough`: one vLLM, asked through gateway and replica, and on its own socket.

Goals: at least 0.98 of its tokens/s by median at 1, 16 and 64 streams; added TTFT p50 at most 2 ms. Short rounds in
pairs, the order turned round at each; connections stay open from round to round on both sides.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from tests.bench.pairs import Ratio, interleave
from tests.e2e.harness import Project

TOKENS = int(os.environ.get("INFERFORM_BENCH_TOKENS", "32"))
PAIRS = {1: 24, 16: 12, 64: 10}
"""Streams at once -> pairs; `INFERFORM_BENCH_PAIRS` sets another number for all."""
MODEL = "SmolLM2-135M-Instruct"
SERVICE = {
    "model": MODEL,
    "method": "vllm",
    "context": 512,
    "concurrency": 64,
    "engineArgs": {"enforceEager": True},
    "limits": {"queue": 0},
    "rollout": {"timeouts": {"engine": 1800}},
}
BODY: dict[str, Any] = {"model": MODEL, "prompt": "Once upon a time", "max_tokens": TOKENS, "stream": True}
BODY |= {"ignore_eos": True, "temperature": 0}


class Side:
    """One way to the same server. `ttft`: the median of each round, in seconds."""

    def __init__(self, runner: asyncio.Runner, base: str, headers: dict[str, str], socket: str | None = None) -> None:
        self._runner, self._base, self._headers, self._socket = runner, base, headers, socket
        self.session: aiohttp.ClientSession | None = None
        self.ttft: list[float] = []

    def tokens_per_second(self, streams: int) -> float:
        """One round: so many streams at once, each of TOKENS tokens."""
        return self._runner.run(self._round(streams))

    async def _round(self, streams: int) -> float:
        if self.session is None:
            connector = aiohttp.UnixConnector(self._socket, limit=0) if self._socket else aiohttp.TCPConnector(limit=0)
            self.session = aiohttp.ClientSession(connector=connector, headers=self._headers)
        started = time.perf_counter()
        firsts = await asyncio.gather(*(self._one(self.session) for _ in range(streams)))
        seconds = time.perf_counter() - started
        self.ttft.append(statistics.median(firsts))
        return streams * TOKENS / seconds

    async def _one(self, session: aiohttp.ClientSession) -> float:
        started, first = time.perf_counter(), 0.0
        async with session.post(f"{self._base}/v1/completions", json=BODY) as reply:
            assert reply.status == 200, await reply.text()
            async for _ in reply.content.iter_any():
                first = first or time.perf_counter() - started
        return first

    def close(self) -> None:
        """End its connections."""
        if self.session is not None:
            self._runner.run(self.session.close())


def report(ours: Side, peer: Side, streams: int, ratio: Ratio) -> None:
    """Two lines of figures."""
    print(ratio.line(f"{streams:2} streams", "tokens/s"), flush=True)
    added = sorted((our - their) * 1000 for our, their in zip(ours.ttft, peer.ttft, strict=True))
    print(
        f"           added TTFT p50 {statistics.median(added):+.2f} ms ({added[0]:+.1f} to {added[-1]:+.1f}); "
        f"peer {statistics.median(peer.ttft) * 1000:.1f} ms",
        flush=True,
    )


def main() -> None:
    """Deploy one service and measure interleaved pairs."""
    with (
        tempfile.TemporaryDirectory(prefix="ife-") as folder,
        Project(Path(folder)) as project,
        asyncio.Runner() as run,
    ):
        project.write({"chat": SERVICE})
        project.up()
        [socket] = (project.folder / "run").rglob("*.vllm")
        ours = Side(run, f"{project.endpoint}/api/predict/chat", {"Authorization": project.token()})
        peer = Side(run, "http://vllm", {}, str(socket))
        print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
        for streams, pairs in PAIRS.items():
            for side in (ours, peer, ours, peer):  # warm both ways before they count
                side.tokens_per_second(streams)
            ours.ttft.clear()
            peer.ttft.clear()
            count = int(os.environ.get("INFERFORM_BENCH_PAIRS", pairs))
            ratio = interleave(
                partial(ours.tokens_per_second, streams), partial(peer.tokens_per_second, streams), count
            )
            report(ours, peer, streams, ratio)
        for side in (ours, peer):
            side.close()


if __name__ == "__main__":
    main()
