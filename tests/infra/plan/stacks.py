"""Short ways to a Stack and a plan in tests."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import yaml

from catalog import load as load_catalog
from infra.plan import Deployed, Lock, Machine, Plan, make
from infra.plan.lock import LockedChoice, LockedModel
from infra.plan.machine import MachineGpu
from infra.stackfile import Stack, load

GIB = 2**30
IMAGES = {name: f"registry.example/inferform-{name}@sha256:{'a' * 64}" for name in ("standard", "vllm", "bladellm")}
CATALOG = load_catalog()


def machine(gib: float = 24, cpus: int = 2, gpus: int = 0, gpu_gib: float = 24) -> Machine:
    """A machine of so much memory."""
    cards = tuple(MachineGpu(name="NVIDIA A10", memory_bytes=int(gpu_gib * GIB)) for _ in range(gpus))
    return Machine(cpus=cpus, memory_bytes=int(gib * GIB), available_bytes=int(gib * GIB), gpus=cards)


def stack(text: str, folder: Path = Path(".")) -> Stack:
    """A stack file without its `inferform:` prefixes. What no target can realise yet is let through."""
    return load(yaml.safe_load(text), folder=folder, built_only=False)


def plan(
    text: str,
    *,
    gib: float | None = 24,
    folder: Path = Path("."),
    lock: Lock | None = None,
    on: Machine | None = None,
    deployed: Deployed | None = None,
    images: bool = True,
) -> Plan:
    """The plan of a stack file on a machine of so much memory (None: no machine), with an image for each method."""
    if images:
        lock = (lock or Lock()).model_copy(update={"images": {**IMAGES, **(lock.images if lock else {})}})
    where = on or (machine(gib) if gib else None)
    return make(stack(text, folder), CATALOG, lock=lock, machine=where, deployed=deployed)


def rules(planned: Plan) -> set[str]:
    """The ids of everything that the plan has to say."""
    return {finding.rule for finding in planned.findings}


def model_folder(path: Path, *, config: dict[str, Any] | None = None, weights: int = 4096) -> Path:
    """A tiny model folder: a real config and one safetensors file of so many bytes."""
    path.mkdir(parents=True, exist_ok=True)
    shape = {
        "model_type": "llama",
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 256,
        "max_position_embeddings": 2048,
        "torch_dtype": "bfloat16",
    }
    (path / "config.json").write_text(json.dumps(shape if config is None else config))
    header = json.dumps({"w": {"dtype": "BF16", "shape": [weights // 2], "data_offsets": [0, weights]}}).encode()
    (path / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(weights))
    return path


def pinned(*ids: str, instances: dict[str, str] | None = None) -> Lock:
    """A lock file with an entry for each of these catalog models, and the instance types of these versions."""
    entries = {}
    for name in ids:
        model = CATALOG.models[name]
        assert model.hub is not None
        entries[model.hub] = LockedModel(revision="0" * 40, weight_bytes=model.weight_bytes, config=model.config)
    choices = {key: LockedChoice(instance_type=name) for key, name in (instances or {}).items()}
    return Lock(models=entries, instances=choices)
