"""Up, down, status and load of a cluster, from outside."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from runtime.contract.paths import cache_folder
from tools.cluster import cgroups, configs, network, tls
from tools.cluster.layout import LONGEST_STATE, Layout
from tools.cluster.process import Process, inside_of
from tools.cluster.record import Record
from tools.console import StepFailed, run, say

CNI = next((folder for folder in ("/usr/lib/cni", "/opt/cni/bin") if Path(folder, "ptp").exists()), "/usr/lib/cni")
"""Where containernetworking-plugins are: Debian's place, then upstream's."""
PROGRAMS = {
    # What a cluster needs of the machine: program -> Debian package.
    "runc": "runc",
    "ip": "iproute2",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ipset": "ipset",
    "nft": "nftables",
    "mount": "mount",
    "openssl": "openssl",
    f"{CNI}/ptp": "containernetworking-plugins",
}
SBIN = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
ROOT = Path(__file__).resolve().parents[2]


def missing_programs() -> dict[str, str]:
    """What this machine lacks: program -> Debian package."""
    return {name: package for name, package in PROGRAMS.items() if shutil.which(name, path=SBIN) is None}


def up(state: Path, bins: Path, pause: Path, *, bound: bool = False) -> Layout:
    """Bring a cluster up; one that runs in this folder already is used. Raises StepFailed, and leaves the logs then.

    `bound`: the cluster ends when this process does, however it ends.
    """
    state = state.resolve()
    if os.geteuid() != 0:
        raise StepFailed("starting a cluster", "it needs root: sudo scripts/cluster up")
    if missing := missing_programs():
        packages = " ".join(sorted(set(missing.values())))
        step = f"looking for {', '.join(missing)}"
        raise StepFailed(step, f"scripts/setup --cluster installs them, or: apt-get install {packages}")
    if len(str(state)) > LONGEST_STATE:
        raise StepFailed(f"starting a cluster in {state}", f"take a folder with at most {LONGEST_STATE} characters")
    with _alone(state):
        if (running := running_record(state)) is not None:
            return running.layout()
        _remove(state)
        if state.exists() and any(state.iterdir()):
            raise StepFailed(f"starting a cluster in {state}", "the folder holds something else; name another: --state")
        state.mkdir(mode=0o711, parents=True, exist_ok=True)
        record = Record(number=network.reserve(state), state=str(state), bins=str(bins), pause=str(pause))
        record.write()
        try:
            _start(record, bound=bound)
        except BaseException:
            _stop(record)
            raise
        return record.layout()


def running_record(state: Path) -> Record | None:
    """The cluster that runs in this folder; None if none does."""
    try:
        record = Record.read(state.resolve())
    except FileNotFoundError:
        return None
    return record if record.alive() else None


def needed(state: Path) -> Layout:
    """The layout of the cluster that runs in this folder. Raises StepFailed where none does."""
    if (record := running_record(state)) is None:
        raise StepFailed(f"looking for a cluster in {state}", "scripts/cluster up starts one")
    return record.layout()


def _start(record: Record, *, bound: bool) -> None:
    layout = record.layout()
    layout.logs.mkdir()
    tls.make(layout)
    runc = shutil.which("runc", path=SBIN) or "runc"
    configs.write(layout, snapshotter=snapshotter(layout.state), runc=runc, cni_programs=CNI)
    reading, writing = os.pipe()
    with (layout.logs / "inside.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tools.cluster.inside", str(layout.state), *(["--lifeline"] if bound else [])],
            cwd=ROOT,
            env={**os.environ, "PATH": SBIN},
            stdin=reading,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    os.close(reading)
    try:
        with process:
            _follow(process, record, writing)
    finally:
        if not bound:  # a bound one's end is closed by the system when this process is gone
            os.close(writing)


def _follow(process: subprocess.Popen[str], record: Record, go: int) -> None:
    layout = record.layout()
    remedy = f"the logs are in {layout.logs}"
    assert process.stdout is not None
    for line in process.stdout:
        word, _, rest = line.rstrip().partition(" ")
        if word == "PID":
            replace(record, first=Process.of(int(rest))).write()
            network.connect(layout, int(rest))
            os.write(go, b"go\n")
        elif word == "READY":
            return
        elif word == "FAILED":
            raise StepFailed("starting the cluster", remedy, rest + "\n" + process.stdout.read())
        else:
            say(line.rstrip())
    raise StepFailed("starting the cluster", remedy, (layout.logs / "inside.log").read_text())


def snapshotter(state: Path) -> str:
    """overlayfs cannot lie upon itself, and in a container the state folder may be on one."""
    said = subprocess.run(["stat", "-f", "-c", "%T", state], capture_output=True, text=True, check=True)
    return "native" if said.stdout.strip() == "overlayfs" else "overlayfs"


def down(state: Path) -> bool:
    """Stop everything of the cluster and delete its folder; False if there was nothing."""
    state = state.resolve()
    with _alone(state):
        return _remove(state)


def _remove(state: Path) -> bool:
    try:
        record = Record.read(state)
    except FileNotFoundError:
        return False
    _stop(record)
    shutil.rmtree(state)
    return True


def _stop(record: Record) -> None:
    layout = record.layout()
    first = Record.read(layout.state).first
    if first is not None:
        first.kill()  # every process in its namespace goes with it: parts, shims, containers
    network.remove(layout)
    cgroups.remove(layout.cgroup)


def load(state: Path, archive: Path) -> list[str]:
    """Import an OCI or docker archive; the names of its images. Raises StepFailed."""
    layout = needed(state)
    names: list[str] = []
    run(
        [*ctr(layout), "images", "import", "--local", archive.resolve()],
        step=f"importing {archive}",
        remedy="an OCI or docker archive is needed: `podman save`, `buildah push IMAGE oci-archive:FILE:NAME`",
        on_line=lambda line: names.append(line.split()[0]) if line.strip() else None,
    )
    return names


def ctr(layout: Layout) -> list[str]:
    """containerd's command, in the namespace of Kubernetes' images."""
    return [str(layout.bins / "ctr"), "-a", str(layout.socket), "-n", "k8s.io"]


@dataclass(frozen=True)
class PartState:
    """A part as seen from outside: its process here (None: it is being started again), how often it died."""

    name: str
    pid: int | None
    deaths: int


def part_states(record: Record) -> list[PartState]:
    """Of a running cluster."""
    if record.first is None or not record.layout().report.exists():
        return []
    numbers = inside_of(record.first)
    reported = json.loads(record.layout().report.read_text())
    return [PartState(name, numbers.get(part["pid"]), part["deaths"]) for name, part in reported.items()]


def want_fake_nodes(record: Record) -> None:
    """Let kwok run from now on."""
    record.layout().fake_nodes.touch()
    if record.first is not None and record.first.alive():
        os.kill(record.first.pid, signal.SIGHUP)


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Two commands on one cluster take turns."""
    folder = cache_folder() / "clusters"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{hashlib.sha256(str(state).encode()).hexdigest()[:12]}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
