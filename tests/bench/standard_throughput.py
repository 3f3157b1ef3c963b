"""Tokens per second of method `standard` beside Transformers' own server with continuous batching, one model, one run.

`python -m tests.bench.standard_throughput [--pairs 5] [--streams 1 16] [--tokens 48] [--model FOLDER]`. Both sides are
whole servers on the same weights, each asked over HTTP with streaming, in turn. Greedy; every answer is as long as
asked: ours is counted by the replica's own token counter, the peer's by its finish reason.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp

from runtime.contract.names import METRIC_COMPLETION_TOKENS, METRICS_PATH, READY_PATH
from runtime.replica.sources.embedded import embedded_model_folder
from tests.bench.pairs import Ratio

SUBJECTS = (
    "the sea", "a lighthouse", "an old train", "a lost key", "the moon", "a garden", "two brothers", "a violin",
    "winter", "a market", "the desert", "a letter", "a bridge", "a storm", "the last bus", "a clock",
)  # fmt: skip


def prompt(number: int) -> str:
    """A request whose answer does not end early, another one for each stream."""
    return f"Write a long and detailed story about {SUBJECTS[number % len(SUBJECTS)]}, with many characters."


class Side:
    """A server under test."""

    def __init__(self, name: str, url: str, session: aiohttp.ClientSession, tokens: int) -> None:
        self.name, self.url, self.session, self.tokens = name, url, session, tokens
        self.first: list[float] = []  # seconds to the first text of each answer of the last run

    async def ask(self, number: int) -> None:
        """One whole streamed answer."""
        raise NotImplementedError

    async def run(self, streams: int) -> float:
        """Tokens per second of `streams` answers at once."""
        self.first.clear()
        begin = time.perf_counter()
        await asyncio.gather(*(self.ask(number) for number in range(streams)))
        return streams * self.tokens / (time.perf_counter() - begin)

    async def stream(self, url: str, body: dict[str, object], text: re.Pattern[bytes]) -> bytes:
        """POST and read to the end; notes when the first text was there."""
        begin = time.perf_counter()
        pieces: list[bytes] = []
        waiting = True
        async with self.session.post(url, json=body) as response:
            async for piece in response.content.iter_any():
                pieces.append(piece)
                if waiting and text.search(piece):
                    waiting = False
                    self.first.append(time.perf_counter() - begin)
            assert response.status == 200, b"".join(pieces)
        return b"".join(pieces)


class Ours(Side):
    """A replica of engine transformers, spoken to in ChatLLM's protocol."""

    async def ask(self, number: int) -> None:
        body = {"prompt": prompt(number), "max_new_tokens": self.tokens, "do_sample": False, "use_stream_chat": True}
        await self.stream(self.url + "/", body, re.compile(rb"."))

    async def run(self, streams: int) -> float:
        before = await self.counted()
        speed = await super().run(streams)
        found = await self.counted() - before
        assert found == streams * self.tokens, f"{found} tokens instead of {streams * self.tokens}"
        return speed

    async def counted(self) -> int:
        """The replica's counter of generated tokens."""
        async with self.session.get(self.url + METRICS_PATH) as response:
            found = re.search(rf"^{METRIC_COMPLETION_TOKENS}\S* (\S+)$", await response.text(), re.MULTILINE)
        return int(float(found[1])) if found else 0


class Peer(Side):
    """`transformers serve --continuous-batching`."""

    model = ""

    async def ask(self, number: int) -> None:
        body: dict[str, object] = {
            "model": self.model,
            "messages": [{"role": "user", "content": prompt(number)}],
            "max_tokens": self.tokens,
            "temperature": 0,
            "stream": True,
        }
        answer = await self.stream(self.url + "/v1/chat/completions", body, re.compile(rb'"content": ?"[^"]'))
        assert b'"finish_reason":"length"' in answer.replace(b" ", b""), answer[-300:]


@asynccontextmanager
async def process(command: list[str], log: Path) -> AsyncIterator[subprocess.Popen[bytes]]:
    """A child process, ended by its pid."""
    with log.open("wb") as output:
        child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)  # noqa: ASYNC220 - a moment
    try:
        yield child
    finally:
        child.terminate()
        try:
            await asyncio.to_thread(child.wait, 20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


async def answering(session: aiohttp.ClientSession, url: str, child: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a GET is answered with 200."""
    while child.poll() is None:
        try:
            async with session.get(url) as response:
                if response.status == 200:
                    return
        except aiohttp.ClientConnectionError:
            pass
        await asyncio.sleep(0.2)
    raise SystemExit(f"the server ended while it started:\n{log.read_text()[-2000:]}")


@asynccontextmanager
async def ours(session: aiohttp.ClientSession, folder: Path, scratch: Path, tokens: int) -> AsyncIterator[Side]:
    """Start a replica on a free port."""
    settings, spec, log = scratch / "settings.json", scratch / "spec.json", scratch / "ours.log"
    settings.write_text(json.dumps({"auth": "none"}))
    template = {
        "method": "standard",
        "engine": "transformers",
        "model": {"name": folder.name, "source": str(folder), "digest": ""},
    }
    spec.write_text(
        json.dumps(
            {
                "service": "bench", "replica": "bench-0", "hash": "0", "template": template, "listen": {"port": 0},
                "settingsFile": str(settings), "dataFolder": str(scratch), "cacheFolder": str(scratch),
            }
        )
    )  # fmt: skip
    async with process(
        [sys.executable, "-m", "runtime.replica", "--spec", str(spec), "--nonce", "bench"], log
    ) as child:
        while not (found := re.search(r"listening on (http://\S+)", log.read_text())):
            if child.poll() is not None:
                raise SystemExit(log.read_text()[-2000:])
            await asyncio.sleep(0.1)
        await answering(session, found[1] + READY_PATH, child, log)
        yield Ours("inferform", found[1], session, tokens)


@asynccontextmanager
async def peer(session: aiohttp.ClientSession, folder: Path, scratch: Path, tokens: int) -> AsyncIterator[Side]:
    """Start `transformers serve` of the same environment on a free port. Its cache is held to a tenth of the memory."""
    port, log = free_port(), scratch / "peer.log"
    command = [
        str(Path(sys.executable).parent / "transformers"), "serve", str(folder), "--continuous-batching",
        "--cb-max-memory-percent", "0.1", "--port", str(port), "--device", "cpu",
    ]  # fmt: skip
    async with process(command, log) as child:
        side = Peer("transformers serve", f"http://localhost:{port}", session, tokens)
        side.model = str(folder)
        await answering(session, f"{side.url}/health", child, log)
        yield side


def free_port() -> int:
    """A port that was free a moment ago."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def compare(sides: tuple[Side, Side], streams: int, pairs: int) -> tuple[Ratio, list[float]]:
    """Warm up both, then measure in turn; also the median time to the first text of each side."""
    found: tuple[list[float], list[float]] = ([], [])
    first: tuple[list[float], list[float]] = ([], [])
    for side in sides:
        await side.run(streams)
    for number in range(pairs):
        for index in (0, 1) if number % 2 == 0 else (1, 0):
            found[index].append(await sides[index].run(streams))
            first[index].append(statistics.median(sides[index].first))
    return Ratio(tuple(found[0]), tuple(found[1])), [statistics.median(times) for times in first]


async def main(arguments: Iterable[str] | None = None) -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--tokens", type=int, default=48, help="of each answer")
    parser.add_argument("--model", type=Path, help="a model folder; the embedded default without it")
    options = parser.parse_args(list(arguments) if arguments is not None else None)
    folder = (options.model or embedded_model_folder()).absolute()
    async with AsyncExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="inferform-bench-")))
        session = await stack.enter_async_context(
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=600), connector=aiohttp.TCPConnector(limit=0))
        )
        sides = (
            await stack.enter_async_context(ours(session, folder, scratch, options.tokens)),
            await stack.enter_async_context(peer(session, folder, scratch, options.tokens)),
        )
        print(f"{folder.name}, {options.tokens} tokens an answer, ours beside {sides[1].name} --continuous-batching")
        for streams in options.streams:
            ratio, first = await compare(sides, streams, options.pairs)
            print(ratio.line(f"  {streams:2} streams", "tokens/s"))
            print(f"     first text, median: ours {first[0] * 1000:.0f} ms, peer {first[1] * 1000:.0f} ms", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
