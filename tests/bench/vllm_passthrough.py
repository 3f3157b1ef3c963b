"""`python -m tests.bench.vllm_passthrough`: one vLLM, asked through gateway and replica, and on its own socket.

Goals: at least 0.98 of its tokens/s by median at 1, 16 and 64 streams; added TTFT p50 at most 2 ms.

Tokens/s: short rounds in pairs, the order turned round at each; connections stay open from round to round.

TTFT: so many streams go on at any time, each begins anew when it ends, and which way it then takes is drawn by lot.
Both ways meet the same vLLM under the same load at the same moment, so what differs is the way. The model has one small
layer: what a way through us adds does not depend on the model, but a real one computes on the cores that we need too,
which no GPU does, and its own first token comes anywhere between 80 and 250 ms on either side.

vLLM computes on one core: on two of two it is slower to its first token, and what it waits for, itself included, has
none left.
"""

from __future__ import annotations

import asyncio
import math
import os
import random
import shutil
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from runtime.contract.paths import cache_folder
from tests.bench.pairs import interleave
from tests.e2e.harness import Project

TOKENS = int(os.environ.get("INFERFORM_BENCH_TOKENS", "32"))
PAIRS = {1: 20, 16: 10, 64: 8}
"""Streams at once -> pairs of rounds for tokens/s; `INFERFORM_BENCH_PAIRS` sets another number for all."""
STREAM_TOKENS = {1: (2, 2), 16: (8, 24), 64: (24, 72)}
"""Streams at once -> the fewest and most tokens of one, drawn by lot, where TTFT is measured."""
FIRST_SECONDS = float(os.environ.get("INFERFORM_BENCH_TTFT_SECONDS", "180"))
SEED = 20261125
TINY = {"num_hidden_layers": 1, "hidden_size": 64, "intermediate_size": 128}
TINY |= {"num_attention_heads": 1, "num_key_value_heads": 1, "head_dim": 64}
MODEL = "SmolLM2-135M-Instruct"
SERVICE = {
    "method": "vllm",
    "context": 512,
    "concurrency": 64,
    "engineArgs": {"enforceEager": True},
    "resources": {"cpus": 1},
    "limits": {"queue": 0},
    "rollout": {"timeouts": {"engine": 1800}},
}
BODY: dict[str, Any] = {"model": "default", "prompt": "Once upon a time", "stream": True}
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

    async def _round(self, streams: int, tokens: int) -> None:
        await asyncio.gather(*(self.ttft(tokens) for _ in range(streams)))

    async def ttft(self, tokens: int) -> float:
        """One stream to its end; its time to first token in seconds."""
        if self.session is None:
            connector = aiohttp.UnixConnector(self._socket, limit=0) if self._socket else aiohttp.TCPConnector(limit=0)
            self.session = aiohttp.ClientSession(connector=connector, headers=self._headers)
        started, first = time.perf_counter(), 0.0
        async with self.session.post(f"{self._base}/v1/completions", json={**BODY, "max_tokens": tokens}) as reply:
            assert reply.status == 200, await reply.text()
            async for _ in reply.content.iter_any():
                first = first or time.perf_counter() - started
        return first

    def close(self) -> None:
        """End its connections."""
        if self.session is not None:
            self._runner.run(self.session.close())


def tiny(folder: Path) -> None:
    """A model of one small layer with the default model's tokenizer; what it says is noise."""
    whole = cache_folder() / "models" / MODEL
    shutil.copytree(whole, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    torch.manual_seed(SEED)
    config = LlamaConfig.from_pretrained(whole, **TINY)
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)


def rates(ours: Side, peer: Side) -> None:
    """Tokens/s, a line for each number of streams."""
    for streams, pairs in PAIRS.items():
        for side in (ours, peer, ours, peer):  # warm both ways before they count
            side.tokens_per_second(streams)
        count = int(os.environ.get("INFERFORM_BENCH_PAIRS", pairs))
        found = interleave(partial(ours.tokens_per_second, streams), partial(peer.tokens_per_second, streams), count)
        print(found.line(f"{streams:2} streams", "tokens/s"), flush=True)


async def drawn(ours: Side, peer: Side, streams: int, seconds: float) -> tuple[list[float], list[float]]:
    """TTFT in ms of the streams of either way, so many at once for so long."""
    lot = random.Random(SEED)
    found: tuple[list[float], list[float]] = [], []
    end = time.perf_counter() + seconds

    async def again() -> None:
        while time.perf_counter() < end:
            way = lot.randrange(2)
            first = await (ours, peer)[way].ttft(lot.randint(*STREAM_TOKENS[streams]))
            found[way].append(first * 1000)

    await asyncio.gather(*(again() for _ in range(streams)))
    return found


def first_tokens(runner: asyncio.Runner, ours: Side, peer: Side) -> None:
    """TTFT, a line for each number of streams."""
    for streams in STREAM_TOKENS:
        runner.run(drawn(ours, peer, streams, 10))  # warm both ways before they count
        mine, theirs = runner.run(drawn(ours, peer, streams, FIRST_SECONDS))
        added = statistics.median(mine) - statistics.median(theirs)
        print(
            f"{streams:2} streams: TTFT p50 ours {statistics.median(mine):.1f} ms ({len(mine)} streams), "
            f"peer {statistics.median(theirs):.1f} ms ({len(theirs)}), "
            f"added {added:+.2f} ms (standard error {error_of_medians(mine, theirs):.2f})",
            flush=True,
        )


def error_of_medians(*samples: list[float]) -> float:
    """The standard error of the difference of medians, by resampling."""
    lot = random.Random(SEED)
    medians = [[statistics.median(lot.choices(sample, k=len(sample))) for _ in range(200)] for sample in samples]
    return math.hypot(*(statistics.stdev(each) for each in medians))


def main() -> None:
    """Deploy one service after the other and measure interleaved pairs."""
    with (
        tempfile.TemporaryDirectory(prefix="ife-") as folder,
        Project(Path(folder)) as project,
        asyncio.Runner() as run,
    ):
        tiny(project.folder / "tiny")
        for measure, model in ((partial(first_tokens, run), "./tiny"), (rates, MODEL)):
            project.write({"chat": {**SERVICE, "model": model}})
            project.up()
            project.wait_until(lambda: len(project.processes("runtime.replica")) == 1, 60, "the old one has gone")
            [socket] = (project.folder / "run").rglob("*.vllm")
            ours = Side(run, f"{project.endpoint}/api/predict/chat", {"Authorization": project.token()})
            peer = Side(run, "http://vllm", {}, str(socket))
            print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
            measure(ours, peer)
            for side in (ours, peer):
                side.close()


if __name__ == "__main__":
    main()
