"""The pair of network devices between this machine and a cluster."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tools.cluster.layout import NETWORKS, Layout
from tools.console import StepFailed


def reserve(state: Path) -> int:
    """Make the pair with the lowest free number; its alias names the state folder. Raises StepFailed."""
    said = ""
    for number in range(NETWORKS):
        link = f"ifcluster{number}"
        if Path(f"/sys/class/net/{link}").exists():
            continue
        made = _ip("link", "add", "name", link, "type", "veth", "peer", "name", f"{link}n")
        if made.returncode == 0:
            _ip("link", "set", link, "alias", str(state))
            return number
        said = made.stderr.strip()
        if "exists" not in said:  # another cluster took it just now
            break
    raise StepFailed("making a network device", "the kernel must offer veth devices, and this user be root", said)


def connect(layout: Layout, pid: int) -> None:
    """Move one end into the network of this process, give this end its address and routes. Raises StepFailed."""
    steps = (
        ("link", "set", f"{layout.link}n", "netns", str(pid)),
        ("address", "add", f"{layout.desk}/30", "dev", layout.link),
        ("link", "set", layout.link, "up"),
        *(
            ("route", "add", network, "via", layout.node, "dev", layout.link)
            for network in (layout.pods, layout.balancers, layout.services)
        ),
    )
    for step in steps:
        done = _ip(*step)
        if done.returncode:
            raise StepFailed(f"ip {' '.join(step)}", "see what ip says", done.stderr.strip())


def remove(layout: Layout) -> None:
    """Delete the pair, if it is this cluster's; with a process of the cluster gone it often is gone too."""
    alias = Path(f"/sys/class/net/{layout.link}/ifalias")
    if alias.exists() and alias.read_text().strip() == str(layout.state):
        _ip("link", "delete", layout.link)


def _ip(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
