"""What this machine has. The one module here that looks at the world; the plan takes its answer as plain data."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psutil

from runtime.contract.paths import vllm_python


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineGpu:
    """One GPU as its driver names it. Memory in bytes."""

    name: str
    memory_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One machine. Memory in bytes; a container's limit counts where it is lower."""

    cpus: int
    memory_bytes: int
    available_bytes: int
    gpus: tuple[MachineGpu, ...] = ()
    vllm: bool = True
    """vLLM's own virtual environment is there."""


CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
CGROUP_USED = Path("/sys/fs/cgroup/memory.current")


def read_machine() -> Machine:
    """This machine's CPUs (those that the process may use), memory and GPUs."""
    memory = psutil.virtual_memory()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    total, free = int(memory.total), int(memory.available)
    limit, used = _number(CGROUP_LIMIT), _number(CGROUP_USED)
    if limit is not None and limit < total:
        total, free = limit, min(free, max(0, limit - (used or 0)))
    return Machine(cpus=cores, memory_bytes=total, available_bytes=free, gpus=_gpus(), vllm=vllm_python().exists())


def _number(path: Path) -> int | None:
    """The number in a control-group file; None when there is none or it says `max`."""
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _gpus() -> tuple[MachineGpu, ...]:
    """NVIDIA's GPUs, by its own tool; none when it is missing or finds no driver."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    query = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return parse_gpus(done.stdout) if done.returncode == 0 else ()


def parse_gpus(text: str) -> tuple[MachineGpu, ...]:
    """Lines such as `NVIDIA A10, 23028` (MiB)."""
    rows = (line.rpartition(",") for line in text.splitlines() if "," in line)
    return tuple(
        MachineGpu(name=name.strip(), memory_bytes=int(mib) * 2**20) for name, _, mib in rows if mib.strip().isdigit()
    )
