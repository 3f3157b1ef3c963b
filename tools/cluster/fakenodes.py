"""Nodes that only the scheduler believes in, played by kwok: GPUs to be counted, without GPUs. Objects are pure."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.cluster.api import Api, Refused, node_ready
from tools.cluster.control import needed, running_record, want_fake_nodes
from tools.console import StepFailed

GPU = "nvidia.com/gpu"
FAKE = {"kwok.x-k8s.io/node": "fake"}
READY_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What one fake node offers."""

    instance_type: str
    gpus: int = 0
    cpus: float = 8
    memory_gib: float = 32
    labels: Mapping[str, str] = field(default_factory=dict)


def node(name: str, shape: Shape) -> dict[str, Any]:
    """The Node object. Its taint keeps everything else away, above all pods that must really run: pods that ask for
    GPUs tolerate it (the API server sees to it), others would have to say so."""
    resources = {"cpu": f"{int(shape.cpus * 1000)}m", "memory": f"{int(shape.memory_gib * 1024)}Mi", "pods": "110"}
    if shape.gpus:
        resources[GPU] = str(shape.gpus)
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": shape.instance_type,
        **FAKE,
        **shape.labels,
    }
    taint = {"key": GPU, "value": "present"} if shape.gpus else {"key": "kwok.x-k8s.io/node", "value": "fake"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": FAKE},
        "spec": {"taints": [{**taint, "effect": "NoSchedule"}]},
        "status": {"allocatable": resources, "capacity": resources},
    }


def add(state: Path, shape: Shape, count: int = 1) -> list[str]:
    """Add nodes of one shape to a running cluster and wait until they are Ready; their names. Raises StepFailed."""
    names = create(state, shape, count)
    wait_until_ready(state, names)
    return names


def create(state: Path, shape: Shape, count: int = 1) -> list[str]:
    """Add nodes of one shape, which are Ready some time later; their names. Raises StepFailed."""
    layout = needed(state)
    if (record := running_record(state)) is not None:
        want_fake_nodes(record)
    api = Api(layout.kubeconfig)
    taken = {found["metadata"]["name"] for found in api.call("GET", "/api/v1/nodes")["items"]}
    stem = f"fake-{shape.instance_type.replace('.', '-').replace('_', '-').lower()}"
    free = (name for number in range(len(taken) + count) if (name := f"{stem}-{number}") not in taken)
    names = [next(free) for _ in range(count)]
    for name in names:
        document = node(name, shape)
        try:
            api.create("/api/v1/nodes", document)
            api.merge(f"/api/v1/nodes/{name}/status", {"status": document["status"]})
        except Refused as error:
            raise StepFailed(f"adding the node {name}", "see what the API server says", str(error)) from None
    return names


def wait_until_ready(state: Path, names: Sequence[str]) -> None:
    """Wait for nodes of these names. Raises StepFailed."""
    layout = needed(state)
    api = Api(layout.kubeconfig)
    deadline = time.monotonic() + READY_SECONDS
    while not all(node_ready(api, name) for name in names):
        if time.monotonic() > deadline:
            step = f"waiting until {', '.join(names)} are Ready"
            raise StepFailed(step, f"see what kwok says in {layout.logs / 'kwok.log'}")
        time.sleep(0.1)


def remove_all(state: Path) -> None:
    """Delete every fake node; pods on them go with them."""
    api = Api(needed(state).kubeconfig)
    api.call("DELETE", "/api/v1/nodes?labelSelector=kwok.x-k8s.io/node%3Dfake")
