"""A throw-away Pulumi project on the local target: own folder, backend, Pulumi home and port; the real CLI."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

from infra.hostclient import HostClient, HostGone
from runtime.contract.host import Scale, VersionState

REPOSITORY = Path(__file__).resolve().parents[3]
STACK = "test"

Config = dict[str, Any]


class CommandFailed(AssertionError):
    """A Pulumi command exited with another code than the test wanted; the text holds its whole output."""


@dataclass(frozen=True)
class Ran:
    """What a finished command left."""

    code: int
    output: str


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def scripted(text: str = "hello from one", **changes: Any) -> Config:
    """A service on the scripted engine that answers `text`, so that an answer tells which version gave it."""
    arguments = {"text": text, "tokensPerSecond": 200, **changes.pop("engineArgs", {})}
    return {"method": "standard", "engine": "scripted", "engineArgs": arguments, **changes}


def pulumi_program() -> str:
    """The CLI that `scripts/setup` put on PATH; a missing one fails the test, it does not skip it."""
    if found := shutil.which("pulumi"):
        return found
    raise CommandFailed(
        "pulumi is not on PATH: run the tests through scripts/test, or `source` the file that scripts/up names"
    )


class Project:
    """One project with one stack. Use as a context manager: the end destroys it and asserts that nothing is left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.state = folder / ".inferform" / STACK
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.stack_file = folder / f"Pulumi.{STACK}.yaml"
        self.environment = {
            **os.environ,
            "PULUMI_HOME": str(folder / ".pulumi-home"),
            "PULUMI_BACKEND_URL": f"file://{folder / 'backend'}",
            "PULUMI_CONFIG_PASSPHRASE": "a passphrase for one test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_PARALLEL": "16",
            "XDG_RUNTIME_DIR": str(folder / "run"),
        }
        self.environment.pop("PULUMI_STACK", None)

    def __enter__(self) -> Project:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "backend").mkdir(exist_ok=True)
        (self.folder / "run").mkdir(mode=0o700, exist_ok=True)
        os.environ["XDG_RUNTIME_DIR"] = self.environment["XDG_RUNTIME_DIR"]  # the host's sockets are found through it
        self.host = HostClient.of_state(self.state)
        program = os.path.relpath(REPOSITORY / "infra", self.folder)
        (self.folder / "Pulumi.yaml").write_text(
            yaml.safe_dump(
                {
                    "name": "e2e",
                    "main": program,
                    "runtime": {
                        "name": "python",
                        "options": {"toolchain": "pip", "virtualenv": os.path.relpath(sys.prefix, self.folder)},
                    },
                    "plugins": {
                        "providers": [{"name": name, "path": str(path)} for name, path in self.plugins().items()]
                    },
                }
            )
        )
        self.pulumi("stack", "init", STACK, "--secrets-provider=passphrase")
        return self

    def __exit__(self, *failure: object) -> None:
        try:
            if failure[0] is None:
                self.destroy()
                self.assert_nothing_left()
        finally:
            self.kill_everything()

    # What differs between targets -------------------------------------------------------------------------------------

    def plugins(self) -> dict[str, Path]:
        """Name to folder of each plugin that the project brings along."""
        return {"inferform": Path(sys.prefix) / "bin"}

    def target(self) -> Config:
        """The stack file's `target`: local on this project's port."""
        return {"kind": "local", "gateway": {"host": "127.0.0.1", "port": self.port}}

    # The stack file ---------------------------------------------------------------------------------------------------

    def write(self, services: Mapping[str, Config], **more: Any) -> None:
        """Write the stack file: these services, this project's target; the salt is kept."""
        document = yaml.safe_load(self.stack_file.read_text()) if self.stack_file.exists() else {}
        document = document or {}
        keys = {"target": self.target(), "services": dict(services), **more}
        document["config"] = {f"inferform:{key}": value for key, value in keys.items()}
        self.stack_file.write_text(yaml.safe_dump(document, sort_keys=False))

    # The CLI ----------------------------------------------------------------------------------------------------------

    def pulumi(self, *arguments: str, code: int = 0, seconds: float = 180) -> Ran:
        """Run a command to its end; another exit code than `code` is CommandFailed with the output."""
        process = self.start_pulumi(*arguments)
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            kill_tree(process.pid)
            output, _ = process.communicate()
            raise CommandFailed(f"pulumi {' '.join(arguments)} did not end within {seconds} s:\n{output}") from None
        if process.returncode != code:
            raise CommandFailed(
                f"pulumi {' '.join(arguments)} exited with {process.returncode}:\n{output}{self.logs()}"
            )
        return Ran(process.returncode, output)

    def start_pulumi(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command and return at once."""
        command = [pulumi_program(), *arguments, "--non-interactive"]
        if arguments[0] not in ("stack", "cancel"):
            command += ["--stack", STACK]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def up(self, *more: str, code: int = 0) -> str:
        """`pulumi up` without preview; returns the output."""
        return self.pulumi("up", "--yes", "--skip-preview", *more, code=code).output

    def preview(self, *more: str, code: int = 0) -> str:
        """`pulumi preview`; returns the output."""
        return self.pulumi("preview", "--diff", *more, code=code).output

    def assert_no_changes(self) -> None:
        """An unchanged file previews empty."""
        self.pulumi("preview", "--expect-no-changes")

    def changes(self) -> dict[str, str]:
        """What a preview would do: resource name -> operation, unchanged ones left out."""
        steps = json.loads(self.pulumi("preview", "--json").output)["steps"]
        return {step["urn"].rsplit("::", 1)[1]: step["op"] for step in steps if step["op"] not in ("same", "read")}

    def refresh(self, *more: str) -> str:
        """`pulumi refresh`."""
        return self.pulumi("refresh", "--yes", "--skip-preview", *more).output

    def destroy(self) -> str:
        """`pulumi destroy`."""
        return self.pulumi("destroy", "--yes", "--skip-preview").output

    def repair(self) -> str:
        """`inferform repair`: what Pulumi wants after a killed CLI."""
        done = subprocess.run(
            [sys.executable, "-m", "infra.cli", "repair", "--stack", STACK],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        if done.returncode:
            raise CommandFailed(f"inferform repair exited with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def outputs(self) -> dict[str, Any]:
        """The stack output `services`, secrets shown."""
        text = self.pulumi("stack", "output", "--json", "--show-secrets", "--stack", STACK).output
        services: dict[str, Any] = json.loads(text)["services"]
        return services

    # The world outside ------------------------------------------------------------------------------------------------

    def token(self, service: str = "chat") -> str:
        """The service's present token, asked of the host."""
        return self.host.token(service).token

    def versions(self, service: str = "chat") -> dict[str, VersionState]:
        """The versions that the host knows, by name; of two with one name the routed one."""
        mine = [state for state in self.host.versions() if state.record.service == service]
        return {state.record.name: state for state in sorted(mine, key=lambda state: state.routed)}

    def scale(self, service: str, replicas: int) -> None:
        """Set the live count of the version `main`, as an autoscaler or an operator would."""
        self.host.scale(service, self.versions(service)["main"].record.hash, Scale(replicas=replicas))

    def pids(self, service: str = "chat") -> set[int]:
        """The process ids of the service's replicas."""
        return {r.pid for state in self.versions(service).values() for r in state.replicas if r.pid is not None}

    def processes(self, *words: str) -> list[psutil.Process]:
        """Processes of this project whose command line holds all the words."""
        marks = (str(self.folder), str(self.environment["XDG_RUNTIME_DIR"]))
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
                line = " ".join(process.cmdline())
                if process.status() == psutil.STATUS_ZOMBIE or not all(word in line for word in words):
                    continue
                if (
                    any(mark in line for mark in marks)
                    or process.environ().get("PULUMI_HOME") == self.environment["PULUMI_HOME"]
                ):
                    found.append(process)
        return found

    def kill(self, *words: str) -> int:
        """kill -9 every process of this project whose command line holds all the words; how many there were."""
        victims = self.processes(*words)
        for process in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(victims, timeout=10)
        return len(victims)

    def kill_everything(self) -> None:
        """What a power cut leaves: no process at all, also none that has given itself another name, as vLLM's do."""
        sessions: set[int] = set()
        while found := self.processes():
            sessions |= {session_of(process.pid) for process in found}
            self.kill()
        for process in psutil.process_iter():
            if session_of(process.pid) in sessions - {0, os.getsid(0)}:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()

    def assert_nothing_left(self) -> None:
        """After destroy: no process, no socket, no port."""
        left = [" ".join(process.cmdline()) for process in self.processes("runtime.")]
        assert not left, f"processes are left: {left}"
        sockets = [str(path) for path in (self.folder / "run").rglob("*") if path.is_socket()]
        assert not sockets, f"sockets are left: {sockets}"
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", self.port)) != 0, f"port {self.port} is still open"

    def wait_until(self, condition: Callable[[], object], seconds: float = 30, what: str = "") -> None:
        """Poll a condition; after `seconds` an AssertionError with the logs. A host that is away counts as false."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(HostGone):
                if condition():
                    return
            assert time.monotonic() < deadline, f"not true within {seconds} s: {what}{self.logs()}"
            time.sleep(0.05)

    def logs(self) -> str:
        """The tails of all logs, for a failed test's report."""
        parts = []
        for path in sorted((self.state / "logs").rglob("*.log")):
            if path.name == "gateway.log":  # a line for each request
                continue
            parts.append(
                f"\n--- {path.relative_to(self.state)}\n"
                + "\n".join(path.read_text(errors="replace").splitlines()[-25:])
            )
        return "".join(parts)


def session_of(pid: int) -> int:
    """The number of a process's session; 0 when it is gone."""
    with contextlib.suppress(ProcessLookupError):
        return os.getsid(pid)
    return 0


def kill_tree(pid: int) -> None:
    """Kill a process started in its own session, with its group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
