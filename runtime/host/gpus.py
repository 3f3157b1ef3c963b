"""Which GPUs of this machine a replica may see. Whole GPUs only: two engines on one would both reserve its memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

VISIBLE = "CUDA_VISIBLE_DEVICES"
NVIDIA = Path("/proc/driver/nvidia/gpus")


def devices(environment: Mapping[str, str], driver: Path = NVIDIA) -> tuple[str, ...]:
    """The GPUs that this host may give away: those it was given itself, or all that the driver lists."""
    if VISIBLE in environment:
        return tuple(name.strip() for name in environment[VISIBLE].split(",") if name.strip())
    try:
        return tuple(str(number) for number, _ in enumerate(driver.iterdir()))
    except FileNotFoundError:
        return ()


def pick(all_devices: Sequence[str], taken: Collection[str], count: int) -> tuple[str, ...] | None:
    """The first `count` GPUs that nobody has; None when there are too few of them."""
    free = [name for name in all_devices if name not in taken]
    return tuple(free[:count]) if len(free) >= count else None
