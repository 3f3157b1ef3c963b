"""How long does a plan take, from 10 to 10,000 services? CPU seconds, load and text included.

    python -m tests.bench.plan_growth [--pairs 5] [--most 10000]

The peer is PyYAML's C parser reading the same file: whoever plans must at least read. The last line says how the time
grows: 1.0 is linear.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Any

import yaml

from catalog import load as load_catalog
from infra.plan import make, text
from infra.plan.lock import Lock, LockedModel
from infra.stackfile import load
from tests.bench.pairs import interleave

CATALOG = load_catalog()
MODELS = ("Qwen2.5-0.5B-Instruct", "Qwen2.5-7B-Instruct", "DeepSeek-R1-Distill-Qwen-7B", "Llama-3.1-8B-Instruct")


def document(services: int) -> dict[str, Any]:
    """Services on five quotas and on public resources, a third of them with two versions."""
    made: dict[str, Any] = {"target": {"kind": "kubernetes"}, "resourceGroups": {}, "quotas": {}, "services": {}}
    for index in range(5):
        types = ["ecs.gn7i-c16g1.4xlarge", "ecs.gn7e-c16g1.4xlarge"]
        made["resourceGroups"][f"g{index}"] = {"instanceTypes": types, "nodes": {"max": 2 * services}}
        made["quotas"][f"q{index}"] = {"resourceGroup": f"g{index}", "gpus": 2 * services}
    for index in range(services):
        model = MODELS[index % len(MODELS)]
        service: dict[str, Any] = {"method": "vllm", "model": model, "replicas": {"min": 1, "max": 1 + index % 4}}
        if index % 3 == 0:
            del service["model"], service["replicas"]
            service["versions"] = {"v1": {"model": model}, "v2": {"model": MODELS[(index + 1) % len(MODELS)]}}
            service["traffic"] = {"v1": 90, "v2": 10}
        if index % 4:
            service["resources"] = {"quota": f"q{index % 5}"}
        made["services"][f"service_{index:05d}"] = service
    return made


def lock() -> Lock:
    """An entry for each model."""
    entries = {}
    for name in MODELS:
        model = CATALOG.models[name]
        assert model.hub is not None
        entries[model.hub] = LockedModel(revision="0" * 40, weight_bytes=model.weight_bytes, config=model.config)
    return Lock(models=entries)


def main() -> None:
    """Measure each size and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--most", type=int, default=10_000)
    options = parser.parse_args()
    pins = lock()
    medians: list[tuple[int, float]] = []
    size = 10
    while size <= options.most:
        written = yaml.dump(document(size), Dumper=yaml.CSafeDumper)

        def ours(written: str = written) -> float:
            data = yaml.load(written, Loader=yaml.CSafeLoader)
            start = time.process_time()
            stack = load(data, folder=Path("."), built_only=False)
            text(make(stack, CATALOG, lock=pins))
            return time.process_time() - start

        def peer(written: str = written) -> float:
            start = time.process_time()
            yaml.load(written, Loader=yaml.CSafeLoader)
            return time.process_time() - start

        pairs = options.pairs if size <= 1000 else max(2, options.pairs // 2)
        ratio = interleave(ours, peer, pairs)
        print(ratio.line(f"{size} services against parsing alone", "s"), flush=True)
        medians.append((size, sorted(ratio.ours)[len(ratio.ours) // 2]))
        size *= 10
    (small, first), (large, last) = medians[-2], medians[-1]
    print(
        f"growth from {small} to {large} services: exponent {math.log(last / first, large / small):.2f} (1.0 is linear)"
    )


if __name__ == "__main__":
    main()
