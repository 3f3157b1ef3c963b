"""Hierarchies of cgroups are found on machines with version 1, 2 and both."""

from __future__ import annotations

from pathlib import Path

from tools.cluster.cgroups import hierarchies

BOTH = """24 21 0:20 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
25 24 0:21 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu
33 24 0:29 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
TWO = "30 24 0:26 / /sys/fs/cgroup rw,nosuid,nodev shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"


def test_hierarchies_of_both_versions_are_found() -> None:
    cpu, unified = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup/unified")
    assert hierarchies(BOTH) == [("cgroup", cpu), ("cgroup2", unified)]
    assert hierarchies(TWO) == [("cgroup2", Path("/sys/fs/cgroup"))]
