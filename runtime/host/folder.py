"""The state folder of one host: where its files lie, whose it is, and the lock that keeps a second host out."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import shutil
import stat as stat_module
from dataclasses import dataclass
from pathlib import Path

from runtime.contract.paths import host_socket, runtime_folder
from runtime.host.process import boot_id, stat

SOCKET_PATH_BYTES = 107


class ForeignState(RuntimeError):
    """The state folder belongs to another machine or another stack."""


class AlreadyRunning(RuntimeError):
    """Another host serves this state folder."""


@dataclass(frozen=True)
class Folder:
    """The layout of a state folder (docs/designs/local-target.md). `state` is absolute."""

    state: Path

    @property
    def database(self) -> Path:
        return self.state / "host.db"

    @property
    def specs(self) -> Path:
        return self.state / "specs"

    @property
    def settings(self) -> Path:
        return self.state / "settings"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def sockets(self) -> Path:
        return runtime_folder(self.state) / "r"

    @property
    def host_socket(self) -> Path:
        return host_socket(self.state)

    def spec(self, replica: str) -> Path:
        return self.specs / f"{replica}.json"

    def socket(self, nonce: str) -> Path:
        """A replica's socket: one for each process, so that nobody takes a new process for the old one."""
        return self.sockets / f"{nonce[:8]}.sock"

    def log(self, service: str, replica: str) -> Path:
        return self.logs / service / f"{replica}.log"

    def data(self, service: str) -> Path:
        return self.state / "data" / service

    def make(self) -> None:
        """Create what is missing, for the owner alone; raises PermissionError when the sockets' place is not ours."""
        longest = len(str(self.socket("0" * 8)).encode())
        if longest > SOCKET_PATH_BYTES:
            text = f"the path of a socket has {longest} bytes, the system allows {SOCKET_PATH_BYTES}"
            raise OSError(f"{self.sockets}: {text}; set XDG_RUNTIME_DIR to a shorter folder")
        for path in (self.state, self.specs, self.settings, self.logs, runtime_folder(self.state), self.sockets):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in (self.state, runtime_folder(self.state), runtime_folder(self.state).parent):
            # The parent may lie in a folder that everybody writes: who made it first could swap our sockets.
            found = path.lstat() if path != self.state else path.stat()
            if found.st_uid != os.getuid() or not stat_module.S_ISDIR(found.st_mode):
                raise PermissionError(f"{path} is not a folder of user {os.getuid()}, but of user {found.st_uid}")
            if path != runtime_folder(self.state).parent:
                path.chmod(0o700)

    def remove(self) -> None:
        """Delete what a host made, logs and services' data excepted; folders that are empty then go too."""
        for path in (self.specs, self.settings, runtime_folder(self.state)):
            shutil.rmtree(path, ignore_errors=True)
        for suffix in ("", "-wal", "-shm", "-journal"):
            self.database.with_name(self.database.name + suffix).unlink(missing_ok=True)
        for mounts in (self.state / "data").glob("*/mounts"):  # copies, which nobody may write
            for base, _, _ in os.walk(mounts):
                os.chmod(base, 0o700)
            shutil.rmtree(mounts, ignore_errors=True)
        for path in sorted((self.state / "data").glob("**/"), reverse=True):
            with contextlib.suppress(OSError):
                path.rmdir()


def machine_id() -> str:
    """This machine's id, or its name where it has none (some containers)."""
    for path in (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id")):
        with contextlib.suppress(OSError):
            if text := path.read_text().strip():
                return text
    return f"name:{platform.node()}"


class Lock:
    """An exclusive lock on a state folder. The kernel frees it when its holder dies: a stale file locks nobody out."""

    def __init__(self, state: Path) -> None:
        """Take the lock; raises AlreadyRunning, naming the holder."""
        self._path = state / "host.lock"
        while True:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.read(self._descriptor, 4096).decode(errors="replace")
                os.close(self._descriptor)
                raise AlreadyRunning(
                    f"another host serves {state}: {holder.strip() or 'it is just starting'}"
                ) from None
            # The holder before us may have deleted the file between our open and our lock.
            with contextlib.suppress(FileNotFoundError):
                if self._path.stat().st_ino == os.fstat(self._descriptor).st_ino:
                    break
            os.close(self._descriptor)
        me = stat(os.getpid())
        data = {"pid": os.getpid(), "start": me.start if me else 0, "boot": boot_id(), "machine": machine_id()}
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, (json.dumps(data) + "\n").encode(), 0)

    def release(self, *, delete: bool = False) -> None:
        if delete:
            with contextlib.suppress(FileNotFoundError):
                if self._path.stat().st_ino == os.fstat(self._descriptor).st_ino:
                    self._path.unlink()
        os.close(self._descriptor)
