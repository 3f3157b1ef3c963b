"""The most memory that a process took with its children, as the kernel and NVIDIA's driver count it."""

from __future__ import annotations

import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import psutil

KIB = 1024


def family(pid: int) -> tuple[int, ...]:
    """A process and all that descend from it; none when it has gone."""
    try:
        process = psutil.Process(pid)
        return (pid, *(child.pid for child in process.children(recursive=True)))
    except psutil.Error:
        return ()


def memory_peak(pid: int) -> int:
    """Bytes that were resident at most: the peaks of the process and its children, added. 0: it has gone."""
    return sum(_peak(each) for each in family(pid))


def _peak(pid: int) -> int:
    """VmHWM where the kernel tells it, else what is resident now."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * KIB for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        pass
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def gpu_memory(pid: int) -> int:
    """Bytes that the process and its children hold now on the fullest GPU; 0 without one."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return 0
    query = [tool, "--query-compute-apps=gpu_uuid,pid,used_memory", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return fullest(done.stdout.splitlines(), family(pid)) if done.returncode == 0 else 0


def fullest(lines: Iterable[str], pids: Iterable[int]) -> int:
    """Bytes on the fullest GPU from lines such as `GPU-4c1f..., 4711, 15012` (MiB). Pure."""
    mine, held = {str(pid) for pid in pids}, defaultdict[str, int](int)
    for line in lines:
        gpu, _, rest = line.partition(",")
        pid, _, mib = (part.strip() for part in rest.partition(","))
        if pid in mine and mib.isdigit():
            held[gpu] += int(mib) * KIB * KIB
    return max(held.values(), default=0)
