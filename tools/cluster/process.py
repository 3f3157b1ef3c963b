"""A process that may have been replaced by another of the same number: pid, start time and boot together."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """`started` in clock ticks since boot, `boot` the machine's boot id."""

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> Process:
        """The process that has this number now. Raises ProcessLookupError."""
        return cls(pid, _start_time(pid), boot_id())

    def alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        try:
            return self.boot == boot_id() and self.started == _start_time(self.pid)
        except ProcessLookupError:
            return False

    def kill(self, seconds: float = 30) -> bool:
        """Kill it and wait until it is gone; False if it was gone already. Raises TimeoutError."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            if not self.alive():
                return False
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            if not select.select([handle], [], [], seconds)[0]:
                raise TimeoutError(f"process {self.pid} does not end within {seconds} s")
        finally:
            os.close(handle)
        return True


def boot_id() -> str:
    """Changes with each start of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _start_time(pid: int) -> int:
    try:
        line = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        raise ProcessLookupError(pid) from None
    # The name in parentheses may hold anything, also spaces and parentheses.
    fields = line.rpartition(")")[2].split()
    if fields[0] == "Z":
        raise ProcessLookupError(pid)
    return int(fields[19])


def inside_of(first: Process) -> dict[int, int]:
    """Number in its own process namespace -> number here, of every process in the namespace of `first`; none when it
    is gone, for the others went with it."""
    found: dict[int, int] = {}
    if not first.alive():
        return found
    try:
        namespace = os.readlink(f"/proc/{first.pid}/ns/pid")
    except OSError:
        return found
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            if os.readlink(folder / "ns/pid") == namespace:
                line = next(line for line in (folder / "status").read_text().splitlines() if line.startswith("NSpid"))
                found[int(line.split()[-1])] = int(folder.name)
    return found
