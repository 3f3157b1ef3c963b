"""What a gateway adds to streams: CPU per 100,000 chunks, delay between chunks, chunks per second, many open streams.

`python -m tests.bench.gateway_streams [--pairs 5] [--seconds 4] [--streams 2000]`. Ours and nginx in turn. A chunk
carries the time when the upstream sent it, so its delay is known at the client without asking the direct path; the
direct path is measured all the same, for what this machine adds by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import resource
import time
from dataclasses import dataclass, field

import uvloop

from tests.bench.gateway_parts import Bench, Client, Target, connect, percentile, request, spread
from tests.bench.gateway_upstream import CHUNK

_STAMPED = re.compile(rb"(\d{20})\.{%d}" % (CHUNK - 20))  # a proxy may merge chunks: only the payload is looked for
STREAMS = 64
RATE = 50


@dataclass
class Arrivals:
    """What the clients of one run saw."""

    delays: list[float] = field(default_factory=list)  # milliseconds from the upstream's write to here
    gaps: list[float] = field(default_factory=list)  # milliseconds by which a gap grew on the way
    chunks: int = 0
    failures: list[str] = field(default_factory=list)


async def one_stream(client: Client, chunks: int, rate: float, arrivals: Arrivals, *, timed: bool = True) -> None:
    """Read one stream; every chunk's stamp is compared with the clock."""
    rest = b""
    last_sent = last_seen = 0

    def on_bytes(data: bytes) -> None:
        nonlocal rest, last_sent, last_seen
        now = time.monotonic_ns()
        rest += data
        end = 0
        for match in _STAMPED.finditer(rest):
            end = match.end()
            if timed:
                sent = int(match[1])
                arrivals.delays.append((now - sent) / 1e6)
                if last_sent:
                    arrivals.gaps.append(((now - last_seen) - (sent - last_sent)) / 1e6)
                last_sent, last_seen = sent, now
            arrivals.chunks += 1
        rest = rest[end:]

    try:
        head = await client.exchange(request(f"/stream?chunks={chunks}&rate={rate}"), on_bytes)
        if not head.startswith(b"HTTP/1.1 200"):
            arrivals.failures.append(head.split(b"\r\n", 1)[0].decode())
    except ConnectionResetError as error:
        arrivals.failures.append(str(error))


async def paced(target: Target, seconds: float, rate: float = RATE, streams: int = STREAMS) -> tuple[Arrivals, float]:
    """`streams` streams at `rate`: what arrived, and the CPU seconds of the proxy per 100,000 chunks."""
    clients = [await connect(target) for _ in range(streams)]
    arrivals = Arrivals()
    before = target.cpu_seconds()
    await asyncio.gather(*(one_stream(each, int(seconds * rate), rate, arrivals) for each in clients))
    used = target.cpu_seconds() - before
    for client in clients:
        client.close()
    return arrivals, used / max(1, arrivals.chunks) * 100_000


async def unpaced(target: Target, streams: int, chunks: int) -> tuple[float, float, float]:
    """As fast as it goes: chunks per second, its CPU seconds per 100,000 chunks, the share of one core it used."""
    clients = [await connect(target) for _ in range(streams)]
    arrivals = Arrivals()
    before, begin = target.cpu_seconds(), time.monotonic()
    await asyncio.gather(*(one_stream(each, chunks, 0, arrivals, timed=False) for each in clients))
    wall, used = time.monotonic() - begin, target.cpu_seconds() - before
    for client in clients:
        client.close()
    assert not arrivals.failures, arrivals.failures
    return arrivals.chunks / wall, used / arrivals.chunks * 100_000, used / wall


async def many(target: Target, streams: int, seconds: float) -> None:
    """Open streams at one chunk a second: failures, and memory per stream."""
    before = target.rss_mib()
    clients = [await connect(target) for _ in range(streams)]
    arrivals = Arrivals()
    peak = 0.0

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, target.rss_mib())
            await asyncio.sleep(0.25)

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(one_stream(each, int(seconds), 1, arrivals) for each in clients))
    watching.cancel()
    for client in clients:
        client.close()
    each_kib = (peak - before) * 1024 / streams
    print(
        f"  {target.name:10} {streams} streams open: {len(arrivals.failures)} failures, {arrivals.chunks} chunks,"
        f" p99 delay {percentile(arrivals.delays, 99):.1f} ms,"
        f" memory {before:.0f} to {peak:.0f} MiB ({each_kib:.1f} KiB each)"
    )
    for failure in sorted(set(arrivals.failures)):
        print(f"    {arrivals.failures.count(failure)} x {failure}")


async def main() -> None:
    """Run the pairs and print medians, ranges and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--streams", type=int, default=2000, help="for the run with many open streams; 0 leaves it out")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the children inherit it
    with Bench() as bench:
        found = (bench.direct(), bench.gateway(), bench.nginx())
        targets = [target for target in found if target is not None]
        cpu: dict[str, list[float]] = {target.name: [] for target in targets}
        delay50: dict[str, list[float]] = {target.name: [] for target in targets}
        delay99: dict[str, list[float]] = {target.name: [] for target in targets}
        gap99: dict[str, list[float]] = {target.name: [] for target in targets}
        speed: dict[str, list[float]] = {target.name: [] for target in targets[1:]}
        busy: dict[str, list[float]] = {target.name: [] for target in targets[1:]}
        for _ in range(options.pairs):
            for target in targets:
                arrivals, seconds = await paced(target, options.seconds)
                assert not arrivals.failures, arrivals.failures
                cpu[target.name].append(seconds)
                delay50[target.name].append(percentile(arrivals.delays, 50))
                delay99[target.name].append(percentile(arrivals.delays, 99))
                gap99[target.name].append(percentile(arrivals.gaps, 99))
            for target in targets[1:]:
                rate, seconds, _ = await unpaced(target, 16, 5000)
                speed[target.name].append(rate)
                busy[target.name].append(seconds)
        print(f"{STREAMS} streams of {RATE} chunks/s, {options.pairs} rounds of {options.seconds:g} s: median (range)")
        for target in targets:
            name = target.name
            print(
                f"  {name:10} delay p50 {spread(delay50[name])} ms, p99 {spread(delay99[name])} ms;"
                f" a gap grows by p99 {spread(gap99[name])} ms"
            )
            if name != "direct":
                added = [value - base for value, base in zip(delay99[name], delay99["direct"], strict=True)]
                grown = [value - base for value, base in zip(gap99[name], gap99["direct"], strict=True)]
                print(f"  {'':10} added delay p99 {spread(added)} ms, added inter-chunk p99 {spread(grown)} ms")
                print(f"  {'':10} CPU per 100,000 chunks {spread(cpu[name])} s")
                print(f"  {'':10} unpaced, 16 streams: {spread(speed[name], digits=0)} chunks/s")
                print(f"  {'':10} unpaced, CPU per 100,000 chunks {spread(busy[name])} s")
        if "nginx" in cpu:
            ratios = [ours / theirs for ours, theirs in zip(cpu["gateway"], cpu["nginx"], strict=True)]
            print(f"  CPU per chunk, gateway / nginx: {spread(ratios, digits=2)}")
            ratios = [ours / theirs for ours, theirs in zip(speed["gateway"], speed["nginx"], strict=True)]
            print(f"  unpaced chunks/s, gateway / nginx: {spread(ratios, digits=2)}")
        if options.streams:
            for target in targets[1:]:
                await many(target, options.streams, 8)


if __name__ == "__main__":
    uvloop.run(main())
