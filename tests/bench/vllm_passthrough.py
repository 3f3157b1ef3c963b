"""`python -m tests.bench.vllm_passthrough`: one vLLM, asked through gateway and replica, and on its own socket.

Goals: at least 0.98 of its tokens/s by median at 1, 16 and 64 streams; added TTFT p50 at most 2 ms. Short rounds in
pairs, the order turned round at each; connections stay open from round to round on both sides. TTFT has rounds of its
own, short and many: vLLM's processes spin while they wait for one another, and where they have no cores to spare, as
with two, a single first token comes anywhere between 80 and 250 ms on either side.
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

from tests.bench.pairs import interleave
from tests.e2e.harness import Project

TOKENS = int(os.environ.get("INFERFORM_BENCH_TOKENS", "32"))
FIRST_TOKENS = 2
PAIRS = {1: (20, 250), 16: (10, 40), 64: (8, 20)}
"""Streams at once -> pairs of rounds for tokens/s, and for TTFT; `INFERFORM_BENCH_PAIRS=A,B` sets others for all."""
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
BODY: dict[str, Any] = {"model": MODEL, "prompt": "Once upon a time", "stream": True}
BODY |= {"ignore_eos": True, "temperature": 0}


class Side:
    """One way to the same server."""

    def __init__(self, runner: asyncio.Runner, base: str, headers: dict[str, str], socket: str | None = None) -> None:
        self._runner, self._base, self._headers, self._socket = runner, base, headers, socket
        self.session: aiohttp.ClientSession | None = None

    def tokens_per_second(self, streams: int) -> float:
        """One round: so many streams at once, each of TOKENS tokens."""
        started = time.perf_counter()
        self._runner.run(self._round(streams, TOKENS))
        return streams * TOKENS / (time.perf_counter() - started)

    def ttft_ms(self, streams: int) -> float:
        """The median of one round."""
        return statistics.median(self._runner.run(self._round(streams, FIRST_TOKENS))) * 1000

    async def _round(self, streams: int, tokens: int) -> list[float]:
        """The streams' times to first token in seconds."""
        if self.session is None:
            connector = aiohttp.UnixConnector(self._socket, limit=0) if self._socket else aiohttp.TCPConnector(limit=0)
            self.session = aiohttp.ClientSession(connector=connector, headers=self._headers)
        return await asyncio.gather(*(self._one(self.session, tokens) for _ in range(streams)))

    async def _one(self, session: aiohttp.ClientSession, tokens: int) -> float:
        started, first = time.perf_counter(), 0.0
        async with session.post(f"{self._base}/v1/completions", json={**BODY, "max_tokens": tokens}) as reply:
            assert reply.status == 200, await reply.text()
            async for _ in reply.content.iter_any():
                first = first or time.perf_counter() - started
        return first

    def close(self) -> None:
        """End its connections."""
        if self.session is not None:
            self._runner.run(self.session.close())


def report(ours: Side, peer: Side, streams: int, pairs: tuple[int, int]) -> None:
    """Measure, two lines of figures."""
    for side in (ours, peer, ours, peer):  # warm both ways before they count
        side.tokens_per_second(streams)
    rate = interleave(partial(ours.tokens_per_second, streams), partial(peer.tokens_per_second, streams), pairs[0])
    print(rate.line(f"{streams:2} streams", "tokens/s"), flush=True)
    first = interleave(partial(ours.ttft_ms, streams), partial(peer.ttft_ms, streams), pairs[1])
    added = [our - their for our, their in zip(first.ours, first.peer, strict=True)]
    # The standard error of a median of a sample is about 1.25 of its mean's.
    error = 1.25 * statistics.stdev(added) / len(added) ** 0.5
    print(
        f"           TTFT p50: ours {statistics.median(first.ours):.1f} ms, "
        f"peer {statistics.median(first.peer):.1f} ms, "
        f"added by pairs {statistics.median(added):+.1f} ms (standard error {error:.1f})",
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
        chosen = os.environ.get("INFERFORM_BENCH_PAIRS")
        for streams, pairs in PAIRS.items():
            rates, firsts = map(int, chosen.split(",")) if chosen else pairs
            report(ours, peer, streams, (rates, firsts))
        for side in (ours, peer):
            side.close()


if __name__ == "__main__":
    main()
