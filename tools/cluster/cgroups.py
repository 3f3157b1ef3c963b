"""Cgroups of a cluster: one folder in each hierarchy, which the cluster sees as the root. Version 1, 2 and both."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

CLONE_NEWCGROUP = 0x02000000
PARTS = "parts"
"""What the cluster's own programs are in; containers lie beside it."""
MEASURED = ("cpu", "cpuset", "io", "memory", "pids")
"""Controllers of version 2 that containers are limited by."""


def hierarchies(mountinfo: str) -> list[tuple[str, Path]]:
    """Type (`cgroup` or `cgroup2`) and mount point of each hierarchy in the text of /proc/self/mountinfo. Pure."""
    found = []
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        if (kind := after.split()[0]) in ("cgroup", "cgroup2"):
            found.append((kind, Path(before.split()[4])))
    return found


def enter(name: str, unshare: Callable[[int], None]) -> list[tuple[Path, Path]]:
    """Make the folder in each hierarchy, and let it be the root for this process; `unshare` takes CLONE_NEW flags.

    Pairs of folder and mount point, to be bound. Raises OSError.
    """
    found = hierarchies(Path("/proc/self/mountinfo").read_text())
    for kind, point in found:
        if kind == "cgroup2":
            _pass_on(point)
        (point / name).mkdir(exist_ok=True)
        _fill(point / name, kind)
        (point / name / "cgroup.procs").write_text("0")
    unshare(CLONE_NEWCGROUP)
    for kind, point in found:
        # A folder of version 2 that holds processes cannot pass controllers on to folders below it.
        (point / name / PARTS).mkdir(exist_ok=True)
        _fill(point / name / PARTS, kind)
        (point / name / PARTS / "cgroup.procs").write_text("0")
        if kind == "cgroup2":
            _pass_on(point / name)
    return [(point / name, point) for _, point in found]


def _fill(folder: Path, kind: str) -> None:
    """A new folder of version 1 has no processors yet; such a folder takes no process."""
    for setting in ("cpuset.cpus", "cpuset.mems"):
        if kind == "cgroup" and (folder / setting).exists():
            (folder / setting).write_text((folder.parent / setting).read_text())


def remove(name: str) -> None:
    """Remove what containers have left; they have ended. Such a folder counts as empty, although it shows files."""
    for _, point in hierarchies(Path("/proc/self/mountinfo").read_text()):
        for folder, _, _ in os.walk(point / name, topdown=False):
            os.rmdir(folder)


def _pass_on(folder: Path) -> None:
    """Let folders below have the controllers that this one has."""
    there = (folder / "cgroup.controllers").read_text().split()
    if wanted := " ".join(f"+{controller}" for controller in there if controller in MEASURED):
        (folder / "cgroup.subtree_control").write_text(wanted)
