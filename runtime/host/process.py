"""Processes of one machine, known by pid, start time and a nonce on their command line; never by pid alone.

A pid is reused, and a start time in seconds moves when somebody sets the clock. The kernel's start ticks do not: they
count from boot, so they identify a process together with the boot id (proc(5), field 22 of /proc/PID/stat).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
PIDFD_GETFD = 438
"""Its number is the same on every architecture; Python has no function for it."""
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Identity:
    """One process: pid, start in clock ticks since boot, the boot, and the nonce that its command line must carry."""

    pid: int
    start: int
    boot: str
    nonce: str


@dataclass(frozen=True, slots=True)
class Stat:
    """What /proc/PID/stat says: state letter (Z is a zombie), session, and start in ticks since boot."""

    state: str
    session: int
    start: int


def boot_id() -> str:
    """This boot's id; a reboot makes a new one."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def stat(pid: int) -> Stat | None:
    """None when there is no such process."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in parentheses may hold spaces and parentheses itself: fields are counted after the last one.
    fields = text.rpartition(")")[2].split()
    return Stat(state=fields[0], session=int(fields[3]), start=int(fields[19]))


def command_line(pid: int) -> tuple[str, ...]:
    """The arguments of a process; empty for a zombie, a kernel thread or a process that is gone."""
    try:
        raw = (PROC / str(pid) / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ()
    return tuple(part.decode(errors="replace") for part in raw.split(b"\0") if part)


def is_alive(identity: Identity) -> bool:
    """True when that very process still runs. A zombie does not."""
    if identity.boot != boot_id():
        return False
    found = stat(identity.pid)
    if found is None or found.state in "ZX" or found.start != identity.start:
        return False
    return not identity.nonce or identity.nonce in command_line(identity.pid)


def identify(pid: int, nonce: str) -> Identity | None:
    """The identity of a process that runs now; None when it is already gone."""
    found = stat(pid)
    return None if found is None else Identity(pid, found.start, boot_id(), nonce)


def nonce_of(arguments: Sequence[str]) -> str | None:
    """The value of `--nonce` on a command line."""
    with contextlib.suppress(ValueError, IndexError):
        return arguments[list(arguments).index("--nonce") + 1]
    return None


def scan(marks: Sequence[str]) -> Iterator[Identity]:
    """All living processes with a nonce whose command line has an argument that begins with one of `marks`."""
    boot = boot_id()
    for entry in os.listdir(PROC):
        if not entry.isdigit():
            continue
        arguments = command_line(int(entry))
        nonce = nonce_of(arguments)
        if nonce is None or not any(argument.startswith(mark) for mark in marks for argument in arguments):
            continue
        found = stat(int(entry))
        if found is not None and found.state not in "ZX":
            yield Identity(int(entry), found.start, boot, nonce)


def signal_session(leader: int, number: signal.Signals) -> None:
    """Signal every process of the session that `leader` opened: an engine's helpers outlive their replica otherwise."""
    for entry in os.listdir(PROC):
        if entry.isdigit() and (found := stat(int(entry))) is not None and found.session == leader:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(int(entry), number)


def end_session(leader: Identity) -> None:
    """SIGKILL to what is left of the session of a process that ended unseen.

    The kernel gives a number to no new process while it names a session, so with the leader gone it is still that one.
    """
    if leader.boot == boot_id() and stat(leader.pid) is None:
        signal_session(leader.pid, signal.SIGKILL)


def oom_kills() -> int:
    """How many processes the kernel has killed for memory since boot; 0 where it does not count them."""
    with contextlib.suppress(OSError):
        for line in (PROC / "vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


class Child:
    """A running process that this host spawned or adopted; `exited` is noticed through its pidfd.

    The pidfd pins the process: a signal sent through it can never reach another process that got the same pid.
    """

    def __init__(self, identity: Identity, popen: subprocess.Popen[bytes] | None = None) -> None:
        self.identity = identity
        self._popen = popen
        self._oom_before = oom_kills()
        self.pidfd = os.pidfd_open(identity.pid)

    def send(self, number: signal.Signals) -> None:
        """Signal the process; nothing happens when it is already gone."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, number)

    def borrow(self, descriptor: int) -> int | None:
        """A copy of one of its open files (pidfd_getfd(2)); None where the system does not allow it."""
        copy = int(_LIBC.syscall(PIDFD_GETFD, self.pidfd, descriptor, 0))
        return None if copy < 0 else copy

    def kill(self) -> None:
        """SIGKILL to the process and everything in its session."""
        self.send(signal.SIGKILL)
        signal_session(self.identity.pid, signal.SIGKILL)

    def reap(self) -> str:
        """Call once, when the pidfd is readable: ends what is left of its session and says how it ended."""
        # Before the wait: a zombie keeps its pid, so the session number cannot belong to anybody else yet.
        signal_session(self.identity.pid, signal.SIGKILL)
        code = None if self._popen is None else self._popen.wait()
        self.close()
        return ending(code, out_of_memory=oom_kills() > self._oom_before)

    def close(self) -> None:
        """Let go of the process without touching it."""
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1
        if self._popen is not None and self._popen.returncode is None:
            self._popen.returncode = 0  # it goes on without us: Popen must not complain that nobody waited


def ending(code: int | None, *, out_of_memory: bool) -> str:
    """How a process ended, in words; `code` as Popen gives it, None when another process was its parent."""
    if code is None:
        return "ended while it was not a child of this host (exit code unknown)"
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    if code == -signal.SIGKILL and out_of_memory:
        return "out of memory: the kernel killed it (SIGKILL)"
    return f"killed by {name}"


def spawn(
    arguments: Sequence[str],
    *,
    nonce: str,
    environment: Mapping[str, str],
    log: Path,
    folder: Path,
    fds: Sequence[int] = (),
) -> Child:
    """Start a process in a session of its own, its output appended to `log`; raises OSError when that fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "wb") as output:
        popen = subprocess.Popen(
            list(arguments),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=folder,
            start_new_session=True,
            pass_fds=tuple(fds),
        )
    identity = identify(popen.pid, nonce)
    if identity is None:  # cannot be: nobody has waited for it, so at least its zombie is there
        raise ProcessLookupError(popen.pid)
    return Child(identity, popen)


def adopt(identity: Identity) -> Child | None:
    """Take over a process that an earlier host started; None when it is not there any more."""
    try:
        child = Child(identity)
    except ProcessLookupError:
        return None
    # Checked after the pidfd was opened: from here on it cannot become another process.
    if is_alive(identity):
        return child
    child.close()
    return None
