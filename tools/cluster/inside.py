"""The first process of a cluster: `python -m tools.cluster.inside STATE`. When it ends, everything of the cluster ends.

It goes into namespaces of its own, prints its process id as seen from outside, waits on stdin for the network device
to be there, starts the parts in stages, prints a line per part that is ready and at last READY. From then on it starts
again what dies. It ends when it is killed, when a part cannot be started, or, with --lifeline, when its stdin closes.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from tools.cluster import cgroups, objects
from tools.cluster.api import Api, Refused, node_ready
from tools.cluster.image import pack
from tools.cluster.layout import NODE, Layout
from tools.cluster.parts import FAKE, STAGES, Part, parts
from tools.cluster.record import Record

CLONE_NEW = 0x00020000 | 0x04000000 | 0x08000000 | 0x20000000 | 0x40000000  # mount, UTS, IPC, process, network
PART_SECONDS = 120.0
"""How long a part may take until it is ready."""
LEAST_LIFE = 1.0
"""Seconds between two starts of a part that dies."""
POLL = 0.05


class Failed(Exception):
    """Bringing the cluster up did not work; the text is for a person."""


def main() -> NoReturn:
    """Fork the first process of the new namespaces; print its process id."""
    parser = argparse.ArgumentParser(prog="tools.cluster.inside")
    parser.add_argument("state", type=Path)
    parser.add_argument("--lifeline", action="store_true")
    options = parser.parse_args()
    layout = Record.read(options.state).layout()
    try:
        unshare(CLONE_NEW)
    except OSError as error:
        print(f"FAILED namespaces of its own are refused here: {error}", flush=True)
        sys.exit(1)
    if child := os.fork():
        print(f"PID {child}", flush=True)
        os._exit(0)
    os.setsid()
    try:
        if sys.stdin.readline().strip() != "go":
            raise Failed("whoever started this is gone")
        prepare(layout)
        inside = Inside(layout, lifeline=options.lifeline)
        inside.start()
        print("READY", flush=True)
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whoever started this reads to the end of its output
        inside.serve()
    except (Failed, OSError, Refused, subprocess.CalledProcessError) as error:
        with contextlib.suppress(OSError):
            print(f"FAILED {error}", flush=True)
    os._exit(1)


def unshare(flags: int) -> None:
    """unshare(2), which Python offers from 3.12 on. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def prepare(layout: Layout) -> None:
    """Mounts and network as the parts need them."""
    seen = [layout.state, layout.bins.parent, Path(__file__).resolve().parents[2], Path(sys.prefix).resolve()]
    handles = {path: os.open(path, os.O_PATH) for path in seen if path.is_relative_to("/var") or hidden(path)}
    _run("mount", "--make-rprivate", "/")
    for folder, point in cgroups.enter(layout.cgroup, unshare):
        _run("mount", "--bind", str(folder), str(point))
    _run("mount", "-t", "proc", "proc", "/proc")
    (layout.state / "var").mkdir()
    _run("mount", "--bind", str(layout.state / "var"), "/var")
    _run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    for path, handle in handles.items():
        path.mkdir(parents=True, exist_ok=True)
        _run("mount", "--rbind", f"/proc/self/fd/{handle}", str(path), keep=handle)
    for name in ("/var/lib", "/var/log", "/var/tmp", "/run/cni"):
        Path(name).mkdir(parents=True, exist_ok=True)
    Path("/var/run").symlink_to("/run")
    socket.sethostname(NODE)
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "link", "set", f"{layout.link}n", "name", "eth0")
    _run("ip", "address", "add", f"{layout.node}/30", "dev", "eth0")
    _run("ip", "link", "set", "eth0", "up")
    _run("ip", "route", "add", "default", "via", layout.desk)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def hidden(path: Path) -> bool:
    """Whether the cluster's own /run would hide it."""
    return path.is_relative_to("/run")


def _run(*command: str, keep: int | None = None) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, pass_fds=() if keep is None else (keep,)
    )
    if done.returncode:
        raise Failed(f"{' '.join(command)}: {done.stderr.strip()}")


@dataclass
class Running:
    """A part's process: its number in here, when it was started last, and how often it died."""

    pid: int | None
    started: float
    deaths: int = 0


class Inside:
    """Starts parts and starts them again."""

    def __init__(self, layout: Layout, *, lifeline: bool) -> None:
        self._layout, self._parts = layout, parts(layout)
        self._running: dict[str, Running] = {}
        self._lifeline = sys.stdin.fileno() if lifeline else None
        self._woken, wake = socket.socketpair()
        self._woken.setblocking(False)
        wake.setblocking(False)
        self._wake = wake  # kept open
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGHUP):
            signal.signal(number, lambda *_: None)

    def start(self) -> None:
        """Everything, in stages. Raises Failed."""
        layout = self._layout
        for number in range(objects.VOLUMES):
            folder = layout.volumes / str(number)
            folder.mkdir(parents=True)
            folder.chmod(0o777)
        self._stage(STAGES[0])
        pack(layout.pause, layout.state / "pause.tar")
        _run(
            str(layout.bins / "ctr"),
            "-a",
            str(layout.socket),
            "-n",
            "k8s.io",
            "images",
            "import",
            f"{layout.state}/pause.tar",
        )
        self._stage(STAGES[1])
        api = Api(layout.kubeconfig)
        for path, document in objects.base(layout):
            api.create(path, document)
        self._stage(STAGES[2])
        self._until(lambda: node_ready(api, NODE), "the node is Ready")
        self._until(lambda: answers(api, objects.FIRST_ACCOUNT), "there are service accounts")

    def serve(self) -> NoReturn:
        """Start again what dies, and what is newly wanted (SIGHUP says that something is)."""
        while True:
            for name in self._wanted():
                running = self._running.get(name)
                if running is None or (running.pid is None and time.monotonic() - running.started > LEAST_LIFE):
                    self._launch(self._parts[name])
            watched: list[int | socket.socket] = [self._woken]
            if self._lifeline is not None:
                watched.append(self._lifeline)
            readable, _, _ = select.select(watched, [], [], LEAST_LIFE)
            if self._lifeline in readable and not os.read(self._lifeline or 0, 1):
                os._exit(0)
            with contextlib.suppress(BlockingIOError):
                self._woken.recv(4096)
            self._reap()

    def _wanted(self) -> list[str]:
        names = [name for stage in STAGES for name in stage]
        return [*names, FAKE] if self._layout.fake_nodes.exists() else names

    def _stage(self, names: Iterable[str]) -> None:
        begun = time.monotonic()
        for name in names:
            self._launch(self._parts[name])
        waiting = list(names)
        while waiting:
            self._reap()
            for name in list(waiting):
                running = self._running[name]
                if running.pid is None:
                    raise Failed(f"{name} ended:\n{self._tail(name)}")
                if is_ready(self._parts[name].ready):
                    waiting.remove(name)
                    print(f"  {name} ready after {time.monotonic() - begun:.1f} s", flush=True)
            if time.monotonic() - begun > PART_SECONDS:
                raise Failed(f"{waiting[0]} is not ready after {PART_SECONDS:.0f} s:\n{self._tail(waiting[0])}")
            time.sleep(POLL)

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PART_SECONDS
        while not condition():
            self._reap()
            if time.monotonic() > deadline:
                raise Failed(f"after {PART_SECONDS:.0f} s it is not so that {what}; logs: {self._layout.logs}")
            time.sleep(POLL)

    def _launch(self, part: Part) -> None:
        log = self._layout.logs / f"{part.name}.log"
        before = self._running.get(part.name)
        running = Running(None, time.monotonic(), before.deaths if before else 0)
        try:
            running.pid = os.posix_spawn(
                part.command[0],
                part.command,
                # Without the proxies of this machine: what they talk to is in here.
                {"PATH": f"{self._layout.bins}:{os.environ.get('PATH', os.defpath)}", "HOME": "/run"},
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
                    (os.POSIX_SPAWN_DUP2, 1, 2),
                ],
                setsid=True,
            )
        except OSError as error:  # its program is gone: as if it had died
            running.deaths += 1
            with log.open("a") as file:
                file.write(f"{part.command[0]}: {error}\n")
        self._running[part.name] = running
        self._write()

    def _reap(self) -> None:
        """Also of processes that others left: the first process inherits them."""
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for running in self._running.values():
                if running.pid == pid:
                    running.pid, running.deaths = None, running.deaths + 1
                    self._write()

    def _write(self) -> None:
        fresh = self._layout.report.with_suffix(".new")
        fresh.write_text(json.dumps({name: asdict(running) for name, running in self._running.items()}))
        fresh.replace(self._layout.report)

    def _tail(self, name: str) -> str:
        return "\n".join((self._layout.logs / f"{name}.log").read_text(errors="replace").splitlines()[-8:])


def is_ready(ready: str | Path) -> bool:
    """Whether a URL answers 200, or a socket accepts."""
    if isinstance(ready, Path):
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(ready)) == 0
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # asked on loopback, and told no secret
    handlers = urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    try:
        with urllib.request.build_opener(*handlers).open(ready, timeout=1):
            return True
    except (OSError, urllib.error.URLError):
        return False


def answers(api: Api, path: str) -> bool:
    """Whether an object is there."""
    try:
        api.call("GET", path)
    except Refused:
        return False
    return True


if __name__ == "__main__":
    main()
