"""How long from nothing to the first token? A sum of phases, each with what it is reckoned from. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from catalog import Engine, InstanceType, Speed
from infra.plan.document import ColdStart, PhaseEstimate
from infra.plan.units import gib

GIGABIT = 1e9 / 8


def estimate(
    *,
    engine: Engine,
    weight_bytes: int,
    source: str,
    speeds: Mapping[str, Speed],
    instance: InstanceType | None,
    new_node: bool,
    gpu: bool,
) -> ColdStart:
    """Estimate one replica's start. `instance` None: this machine, no image to pull and weights on its disk."""
    return ColdStart(
        phases=(
            _schedule(speeds, instance, new_node),
            _image(engine, speeds, instance),
            _weights(weight_bytes, source, speeds, instance),
            _engine(engine, gpu),
            PhaseEstimate(phase="firstToken", seconds=speeds["first-token"].value, note="one short prompt"),
        )
    )


def _schedule(speeds: Mapping[str, Speed], instance: InstanceType | None, new_node: bool) -> PhaseEstimate:
    if instance is None:
        return PhaseEstimate(phase="schedule", seconds=0, note="a process on this machine")
    key = "node-start" if new_node else "schedule"
    return PhaseEstimate(
        phase="schedule", seconds=speeds[key].value, note="a new node" if new_node else "a node is there"
    )


def _image(engine: Engine, speeds: Mapping[str, Speed], instance: InstanceType | None) -> PhaseEstimate:
    if instance is None:
        return PhaseEstimate(phase="image", seconds=speeds["process-start"].value, note="no image, imports only")
    rate = speeds["image-pull"].value
    note = f"{gib(engine.image_bytes)} GiB at {rate / 1e6:.0f} MB/s"
    return PhaseEstimate(phase="image", seconds=engine.image_bytes / rate, note=note)


def _weights(size: int, source: str, speeds: Mapping[str, Speed], instance: InstanceType | None) -> PhaseEstimate:
    """On this machine the weights are on its disk; elsewhere each new replica reads them from their source."""
    if instance is None or source.startswith(("/", "embedded://")):
        rate, where = speeds["disk-read"].value, "disk"
    elif source.startswith("s3://"):
        rate, where = speeds["bucket-read"].value, "bucket"
    else:
        rate, where = speeds["hub-download"].value, "hub"
    if instance is not None and instance.network_gbps and where != "disk":
        rate = min(rate, instance.network_gbps * GIGABIT)
    return PhaseEstimate(
        phase="weights", seconds=size / rate, note=f"{gib(size)} GiB from {where} at {rate / 1e6:.0f} MB/s"
    )


def _engine(engine: Engine, gpu: bool) -> PhaseEstimate:
    seconds = engine.init_seconds if gpu else engine.init_seconds_cpu
    return PhaseEstimate(phase="engine", seconds=seconds, note=f"{engine.id} on {'a GPU' if gpu else 'cores'}")
