"""Random stacks of one resource group: GPU services of several sizes on a few nodes, as a stack file says them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog import load as load_catalog
from infra.plan import Plan, make
from infra.stackfile import load
from tests.infra.plan.stacks import pinned

CATALOG = load_catalog()
MODEL = "Qwen2.5-7B-Instruct"
LOCK = pinned(MODEL)
TYPES = ("ecs.gn7i-8x.16xlarge", "ecs.gn7i-4x.16xlarge", "ecs.gn8is-8x.32xlarge", "ecs.gn7i-2x.8xlarge")
IMAGE = "registry.example/inferform@sha256:" + "0" * 64


@dataclass(frozen=True)
class RandomStack:
    """One stack file with its plan."""

    number: int
    instance_type: str
    nodes: int
    config: dict[str, Any]
    plan: Plan

    @property
    def verdict(self) -> str:
        """What the plan says of the group: `always fits`, `fits only if packed well` or `never fits`."""
        [row] = [row for row in self.plan.headroom if row.resource == "nodes"]
        return row.verdict


def random_stack(number: int, seed: int) -> RandomStack:
    """The stack of this number; the same seed gives the same ones. Replicas are at their maximum."""
    draw = random.Random(f"{seed}/{number}")
    instance_type = draw.choice(TYPES)
    gpus = CATALOG.instances[instance_type].gpus
    nodes = draw.randint(1, 3)
    wishes = [size for size in (1, 2, 4) if size <= gpus]
    services: dict[str, Any] = {}
    room = max(1, nodes * gpus + draw.choice((-2, -1, 0, 0, 0, 1)))  # near the edge, where verdicts differ
    while room > 0 and len(services) < 6:
        size, replicas = draw.choice(wishes), draw.randint(1, 4)
        replicas = max(1, min(replicas, room // size))
        room -= size * replicas
        services[f"svc{len(services)}"] = {
            "model": MODEL,
            "method": "vllm",
            "context": 4096,
            "resources": {"group": "pool", "gpus": size},
            "replicas": {"min": replicas, "max": replicas},
            "rollout": {"strategy": "recreate"},
        }
    config = {
        "target": {"kind": "kubernetes", "image": IMAGE, "namespace": f"random-{number}"},
        "resourceGroups": {"pool": {"instanceTypes": [instance_type], "nodes": {"min": 0, "max": nodes}}},
        "services": services,
    }
    stack = load(config, folder=Path("."), built_only=False)
    return RandomStack(number, instance_type, nodes, config, make(stack, CATALOG, lock=LOCK))
