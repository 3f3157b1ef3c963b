"""Errors and churn for a while: afterwards every in-flight count must be back at zero; memory is shown.

`python -m tests.bench.gateway_soak [--seconds 20] [--clients 64]`. Replicas answer, stream, reset before and in an
answer, answer 450 and 500; clients also leave in mid-stream; every 50 ms the view changes: replicas come, go and drain.
Exit code 1 when a count is left over, or a request ended in any way other than the scripted ones.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import resource
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path

import psutil
import uvloop

from tests.bench.gateway_parts import Bench, Client, Target, connect, process, request, view

IN_FLIGHT = re.compile(r'inferform_gateway_in_flight\{service="chat",replica="([^"]+)"\} (\d+)')
EXPECTED = frozenset(("200", "500", "450", "502", "cut", "left"))


async def one_client(target: Target, seed: int, until: float, seen: Counter[str]) -> None:
    """Mixed requests on kept connections; a broken connection is replaced."""
    chance = random.Random(seed)
    client: Client | None = None
    while time.monotonic() < until:
        client = client or await connect(target)
        kind = chance.choice(("/echo", "/echo", "/flaky", "/flaky", "/stream?chunks=20&rate=400", "leave"))
        if kind == "leave":
            leaving = asyncio.create_task(client.exchange(request("/stream?chunks=1000&rate=100")))
            await asyncio.sleep(chance.random() * 0.02)
            client.close()
            await asyncio.gather(leaving, return_exceptions=True)
            client = None
            seen["left"] += 1
            continue
        try:
            head = await client.exchange(request(kind))
        except ConnectionResetError:
            seen["cut"] += 1
            client = None
            continue
        seen[head[9:12].decode()] += 1
        if b"connection: close" in head.lower():
            client.close()
            client = None
    if client is not None:
        client.close()


async def churn(file: Path, sockets: list[str], until: float) -> int:
    """Change the view again and again; the first replica always stays, so that no request has to wait for long."""
    chance = random.Random(7)
    revision = 1
    while time.monotonic() < until:
        revision += 1
        fresh = view(sockets, holdSeconds=5).to_data()
        endpoints = fresh["services"]["chat"]["endpoints"]["aaaaaaaaaa"]
        kept = [endpoints[0]]
        for endpoint in endpoints[1:]:
            match chance.randrange(4):
                case 0:
                    continue
                case 1:
                    kept.append(endpoint | {"draining": True})
                case 2:
                    kept.append(endpoint | {"ready": False})
                case _:
                    kept.append(endpoint)
        fresh["services"]["chat"]["endpoints"]["aaaaaaaaaa"] = kept
        fresh["revision"] = revision
        write(file, type(view(sockets)).model_validate(fresh).to_json())
        await asyncio.sleep(0.05)
    return revision


def write(file: Path, text: str) -> None:
    """Replace a file in one step."""
    temporary = file.with_suffix(".new")
    temporary.write_text(text)
    temporary.rename(file)


def in_flight(port: int) -> int:
    """What the gateway's metrics still count, over all replicas."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/metrics", timeout=5) as answer:
        return sum(int(count) for _, count in IN_FLIGHT.findall(answer.read().decode()))


async def settled(port: int, seconds: float = 10) -> int:
    """What is still in flight once it no longer falls, at most `seconds` later."""
    deadline = time.monotonic() + seconds
    left = await asyncio.to_thread(in_flight, port)
    while left and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
        left = await asyncio.to_thread(in_flight, port)
    return left


async def main() -> int:
    """Run the soak and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--clients", type=int, default=64)
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Bench() as bench:
        sockets = [bench.socket]
        for number in range(3):
            socket = str(bench.folder / f"u{number}.sock")
            command = (sys.executable, "-m", "tests.bench.gateway_upstream", "--socket", socket)
            bench.enter_context(process(*command, ready=b"ready"))
            sockets.append(socket)
        target = bench.gateway(sockets=sockets)
        assert target.port is not None
        file = bench.folder / f"view-{target.port}.json"
        until = time.monotonic() + options.seconds
        seen: Counter[str] = Counter()
        warm = target.rss_mib()
        clients = [one_client(target, seed, until, seen) for seed in range(options.clients)]
        revisions, *_rest = await asyncio.gather(churn(file, sockets, until), *clients)
        write(file, view(sockets).to_json())
        left = await settled(target.port)
        descriptors = psutil.Process(target.pids[0]).num_fds()
        print(
            f"{sum(seen.values())} requests from {options.clients} clients in {options.seconds:g} s, {revisions} views"
        )
        print("  " + ", ".join(f"{name}: {count}" for name, count in sorted(seen.items())))
        grown = f"{warm:.0f} to {target.rss_mib():.0f} MiB"
        print(f"  in flight afterwards: {left}; memory {grown}; {descriptors} descriptors")
        odd = {name: count for name, count in seen.items() if name not in EXPECTED}
        if odd:
            print(f"  unexpected: {odd}")
        return 1 if left or odd else 0


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
