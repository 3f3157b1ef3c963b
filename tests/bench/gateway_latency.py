"""What a gateway adds to one request at a time: ours, nginx, a plain aiohttp proxy, LiteLLM's proxy on demand.

`python -m tests.bench.gateway_latency [--rounds 5] [--requests 1000] [--litellm PYTHON]`. Each round asks every target
in turn, the upstream first, so that what else this machine does hits all of them alike; what is added is the
difference to the direct run of the same round. `--litellm` names the interpreter of a virtual environment that has
`litellm[proxy]`.
"""

from __future__ import annotations

import argparse
import gc
import time

import uvloop

from tests.bench.gateway_parts import Bench, Target, connect, percentile, request, spread

WARM_UP = 50  # requests before the clock runs


async def measure(target: Target, count: int) -> list[float]:
    """Milliseconds of each of `count` requests on one kept connection."""
    client = await connect(target)
    data = request("/v1/chat/completions", prefix=target.prefix)
    for _ in range(WARM_UP):
        await client.exchange(data)
    gc.collect()
    gc.disable()
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        head = await client.exchange(data)
        times.append((time.perf_counter() - begin) * 1000)
        assert head.startswith(b"HTTP/1.1 200"), head
    gc.enable()
    client.close()
    return times


async def main() -> None:
    """Run the rounds and print medians, ranges and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--litellm", metavar="PYTHON", help="an interpreter that has litellm[proxy]")
    options = parser.parse_args()
    with Bench() as bench:
        found = [bench.direct(), bench.gateway(), bench.nginx(), bench.plain_proxy()]
        if options.litellm:
            found.append(bench.litellm(options.litellm))
        targets = [target for target in found if target is not None]
        p50: dict[str, list[float]] = {target.name: [] for target in targets}
        p99: dict[str, list[float]] = {target.name: [] for target in targets}
        cpu: dict[str, list[float]] = {target.name: [] for target in targets}
        for _ in range(options.rounds):
            for target in targets:
                before = target.cpu_seconds()
                times = await measure(target, options.requests)
                cpu[target.name].append((target.cpu_seconds() - before) / (options.requests + WARM_UP) * 1e6)
                p50[target.name].append(percentile(times, 50))
                p99[target.name].append(percentile(times, 99))
        print(f"{options.rounds} rounds of {options.requests} requests, one client, milliseconds: median (range)")
        added: dict[str, list[float]] = {}
        for target in targets:
            name = target.name
            print(f"  {name:14} p50 {spread(p50[name])}   p99 {spread(p99[name])}")
            if name != "direct":
                added[name] = [value - base for value, base in zip(p50[name], p50["direct"], strict=True)]
                worst = [value - base for value, base in zip(p99[name], p99["direct"], strict=True)]
                print(f"  {'':14} CPU per request {spread(cpu[name], digits=0)} us")
                print(f"  {'':14} added p50 {spread(added[name])}   added p99 {spread(worst)}")
        for name in added:
            if name != "gateway":
                ratios = [ours / theirs for ours, theirs in zip(added["gateway"], added[name], strict=True)]
                print(f"  added p50, gateway / {name}: {spread(ratios, digits=4)}")


if __name__ == "__main__":
    uvloop.run(main())
