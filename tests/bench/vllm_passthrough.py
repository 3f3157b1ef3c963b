"""`python -m tests.bench.vllm_passthrough`: one vLLM, asked through gateway and replica, and on its own socket.

Goals: at least 0.98 of its tokens/s by median at 1, 16 and 64 streams; added TTFT p50 at most 2 ms.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import aiohttp

from tests.bench.pairs import Ratio, interleave
from tests.e2e.harness import Project

TOKENS = 48
STREAMS = (1, 16, 64)
MODEL = "SmolLM2-135M-Instruct"
SERVICE = {
    "model": MODEL,
    "method": "vllm",
    "context": 512,
    "concurrency": 64,
    "engineArgs": {"enforceEager": True},
    "limits": {"queue": 0},
}


class Side:
    """One way to the same server; keeps the TTFTs of its rounds, in seconds."""

    def __init__(self, base: str, headers: dict[str, str], socket: str | None = None) -> None:
        self._base, self._headers, self._socket = base, headers, socket
        self.ttft: dict[int, list[float]] = {streams: [] for streams in STREAMS}

    def tokens_per_second(self, streams: int) -> float:
        """One round: so many streams at once, each of TOKENS tokens."""
        return asyncio.run(self._round(streams))

    async def _round(self, streams: int) -> float:
        connector = aiohttp.UnixConnector(self._socket, limit=0) if self._socket else aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, headers=self._headers) as session:
            started = time.perf_counter()
            await asyncio.gather(*(self._one(session, streams) for _ in range(streams)))
            return streams * TOKENS / (time.perf_counter() - started)

    async def _one(self, session: aiohttp.ClientSession, streams: int) -> None:
        body = {"model": MODEL, "prompt": "Once upon a time", "max_tokens": TOKENS, "stream": True, "ignore_eos": True}
        started, first = time.perf_counter(), True
        async with session.post(f"{self._base}/v1/completions", json=body) as reply:
            assert reply.status == 200, await reply.text()
            async for _ in reply.content.iter_any():
                if first:
                    self.ttft[streams].append(time.perf_counter() - started)
                    first = False


def report(ours: Side, peer: Side, streams: int, ratio: Ratio) -> None:
    """Two lines of figures."""
    print(ratio.line(f"{streams:2} streams", "tokens/s"))
    added = statistics.median(ours.ttft[streams]) - statistics.median(peer.ttft[streams])
    print(f"           added TTFT p50 {added * 1000:+.2f} ms")


def main() -> None:
    """Deploy one service and measure interleaved pairs."""
    with tempfile.TemporaryDirectory(prefix="ife-") as folder, Project(Path(folder)) as project:
        project.write({"chat": SERVICE})
        project.up()
        [socket] = (project.folder / "run").rglob("*.vllm")
        ours = Side(f"{project.endpoint}/api/predict/chat", {"Authorization": project.token()})
        peer = Side("http://vllm", {}, str(socket))
        for streams in STREAMS:
            ours.tokens_per_second(streams)  # warm both ways before they count
            peer.tokens_per_second(streams)
            ours.ttft[streams].clear()
            peer.ttft[streams].clear()
            pairs = 9 if streams == 1 else 5
            ratio = interleave(
                partial(ours.tokens_per_second, streams), partial(peer.tokens_per_second, streams), pairs
            )
            report(ours, peer, streams, ratio)


if __name__ == "__main__":
    main()
