"""The places that this plugin talks to: local hosts, which it finds and starts, and clusters. One epoch a run each."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import IO, TYPE_CHECKING

from infra.hostclient import Absent, HostClient, HostGone, HostProblem, HostTimeout
from infra.place import Place
from infra.provider.identity import place_of
from infra.provider.operation import Operation, Refused
from runtime.contract.cluster import is_cluster, parse_address
from runtime.contract.code import host_code
from runtime.contract.host import KEEP, UNKEPT, HostInfo

if TYPE_CHECKING:
    from infra.cluster import ClusterClient, Connections

ASK_SECONDS = 0.05
"""What Check and Diff may spend on the socket (DESIGN, `How Pulumi is used`, rule 11)."""
START_SECONDS = 30.0
DATABASE = "host.db"


def host_command(state: Path, stack: str) -> list[str]:
    """The command line of a state folder's daemon."""
    return [sys.executable, "-m", "runtime.host", "--state", str(state), "--stack", stack]


def host_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The daemon's environment: ours without what belongs to Pulumi, such as its passphrase and the stack's config."""
    return {name: value for name, value in environment.items() if not name.startswith("PULUMI_")}


class Hosts:
    """Clients of hosts by state folder, and of clusters by address. Thread-safe."""

    def __init__(
        self,
        command: Callable[[Path, str], Sequence[str]] = host_command,
        connections: Connections | None = None,
    ) -> None:
        self._command = command
        self._connections = connections
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._epochs: dict[str, int] = {}
        self._started: list[subprocess.Popen[bytes]] = []  # they outlive this process
        self._births: dict[str, IO[bytes]] = {}  # stdin of each that is not kept yet: it ends when this closes

    def cluster(self, state: str) -> ClusterClient:
        """A client of a cluster's namespace, without an epoch. Raises HostGone when there is no way to it."""
        from infra.cluster import ClusterClient, Connections  # late: a local run needs none of it

        with self._lock:
            if self._connections is None:
                self._connections = Connections()
        return ClusterClient(parse_address(state), connections=self._connections)

    def reader(self, state: str) -> Place:
        """A client for reading."""
        return self.cluster(state) if is_cluster(state) else HostClient.of_state(Path(state))

    def asker(self, state: str) -> HostClient:
        """A client for Check and Diff: it waits at most ASK_SECONDS."""
        return HostClient.of_state(Path(state), timeout=ASK_SECONDS)

    def writer(self, state: str, operation: Operation) -> Place:
        """A client whose writes carry this run's epoch, asked for at the first one. A host that died is started again.

        Raises Refused when this folder, or namespace, has never had a stack, or belongs to another one.
        """
        return self._cluster_writer(state, operation) if is_cluster(state) else self.host_writer(state, operation)

    def _cluster_writer(self, state: str, operation: Operation) -> ClusterClient:
        place, client = place_of(state), self.cluster(state)
        with self._of(place):
            if place not in self._epochs:
                try:
                    self._epochs[place] = client.new_epoch(stack=operation.short_stack)
                except Absent as absent:
                    raise Refused(absent.message) from absent
            return client.with_epoch(self._epochs[place])

    def host_writer(self, state: str, operation: Operation) -> HostClient:
        """`writer` of a local host."""
        with self._of(state):
            reader = HostClient.of_state(Path(state))
            try:
                self._renew(state, reader, operation)
                epoch = self._epoch(state, reader)
            except HostTimeout:
                raise
            except HostGone:
                if not (Path(state) / DATABASE).exists():
                    raise Refused(f"there is no host for {state}; its Host resource makes one") from None
                self._start(state, operation)
                epoch = self._epoch(state, reader)
        return HostClient.of_state(Path(state), epoch=epoch)

    def remover(self, state: str, operation: Operation) -> Place | None:
        """A writer for deletes; None when nothing of ours was ever there: then there is nothing to delete."""
        try:
            return self.writer(state, operation)
        except Refused:
            return None

    def host_remover(self, state: str, operation: Operation) -> HostClient | None:
        """`remover` of a local host: None when this folder has no host and no database."""
        try:
            return self.host_writer(state, operation)
        except Refused:
            return None

    def ensure(self, state: str, operation: Operation) -> HostInfo:
        """Adopt the folder's host, or start one. Raises Refused when it cannot start or belongs to another stack.

        One that was started here on an empty folder ends with this process, and leaves nothing, until `keep`.
        """
        with self._of(state):
            try:
                info = _living(HostClient.of_state(Path(state)), operation)
            except HostTimeout:
                raise
            except HostGone:
                info = self._start(state, operation, kept=(Path(state) / DATABASE).exists())
        if info.stack != operation.stack:
            raise Refused(
                f"the host of {state} belongs to the stack {info.stack}, this is {operation.stack}; "
                "give this stack a state folder of its own (target.state)"
            )
        return info

    def keep(self, state: str) -> None:
        """The host that `ensure` started is about to be in Pulumi's state: from now on a delete ends it."""
        self._end_birth(state, KEEP)

    def forget(self, state: str) -> None:
        """The host was shut down, the namespace removed: a new one gives new epochs. One that nobody kept ends."""
        self._end_birth(state)
        with self._lock:
            self._epochs.pop(place_of(state), None)
            self._started = [process for process in self._started if process.poll() is None]  # reaps it

    def _end_birth(self, state: str, word: bytes = b"") -> None:
        """The last that a host hears which is not kept yet; it may be gone. Nothing for one that is kept."""
        with self._lock:
            birth = self._births.pop(state, None)
        if birth is not None:
            with suppress(BrokenPipeError), birth:
                birth.write(word)

    def _of(self, state: str) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(state, threading.Lock())

    def _renew(self, state: str, client: HostClient, operation: Operation) -> None:
        """Replace a host that an upgrade has left behind: its successor adopts all that it runs."""
        info = client.host()
        if state in self._epochs or info.code == host_code():
            return
        operation.status("replacing the host: it runs other code than this plugin")
        client.leave()
        deadline = time.monotonic() + START_SECONDS
        with suppress(HostGone):
            while _living(client, operation).pid == info.pid:
                if time.monotonic() > deadline:
                    raise Refused(f"the host of {state} (process {info.pid}) does not exit; it runs other code")
                operation.cancellation.sleep(0.05)
        self._start(state, operation)

    def _epoch(self, state: str, client: HostClient) -> int:
        known = self._epochs.get(state)
        if known is None:
            known = self._epochs[state] = client.new_epoch()
            return known
        client.host()  # so that a host that died is noticed before the write
        return known

    def _start(self, state: str, operation: Operation, *, kept: bool = True) -> HostInfo:
        """Start the daemon in a session of its own: the engine kills the plugin's whole process group at its end."""
        folder = Path(state)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        logs = folder / "logs"
        logs.mkdir(exist_ok=True, mode=0o700)
        operation.status("starting the host")
        with (logs / "host.log").open("ab") as log:
            before = log.tell()
            process = subprocess.Popen(
                [*self._command(folder, operation.stack), *(() if kept else (UNKEPT,))],
                cwd=folder,
                env=host_environment(os.environ),
                stdin=subprocess.DEVNULL if kept else subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._started.append(process)
        if process.stdin is not None:
            self._births[state] = process.stdin
        deadline = time.monotonic() + START_SECONDS
        client = HostClient.of_state(Path(state))
        while True:
            try:
                return client.host()
            except HostGone:
                pass
            code = process.poll()
            if code is not None and code != 0:
                # Another process may have won the race for the folder; then its host answers now.
                try:
                    return client.host()
                except HostGone:
                    self.forget(state)
                    tail = _tail(logs / "host.log", before)
                    raise Refused(f"the host of {state} exited with {code} at its start:\n{tail}") from None
            if time.monotonic() > deadline:
                raise Refused(f"the host of {state} does not answer after {START_SECONDS:g} s; see {logs / 'host.log'}")
            operation.cancellation.sleep(0.02)


def _living(client: HostClient, operation: Operation) -> HostInfo:
    """What a host says of itself; the end of one that shuts down is waited for. Raises HostGone when there is none."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return client.host()
        except HostProblem as problem:
            if problem.status != HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
                raise
        operation.cancellation.sleep(0.02)


def _tail(path: Path, start: int, lines: int = 15) -> str:
    try:
        with path.open("rb") as file:
            file.seek(start)
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def said(problem: HostProblem) -> str:
    """A refusal of the host in words for the user."""
    if problem.code == "StaleEpoch":
        return (
            "a newer run of Pulumi has taken over this stack, so this run's writes are refused; "
            f"run `pulumi up` again ({problem.message})"
        )
    return problem.message or problem.code
