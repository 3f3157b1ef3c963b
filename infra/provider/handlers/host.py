"""Host: the daemon of one state folder, and where its gateway listens."""

from __future__ import annotations

import shutil
import socket
import time
from pathlib import Path
from typing import ClassVar

import psutil

from infra.hostclient import HostClient, HostGone, HostProblem, gateway_url
from infra.place import Place
from infra.provider.diff import Change
from infra.provider.handlers.base import Failure, Handler, InitFailed, Values
from infra.provider.hosts import DATABASE
from infra.provider.identity import Identity
from infra.provider.operation import Operation, Refused
from runtime.contract.document import Document
from runtime.contract.host import GatewaySettings
from runtime.contract.paths import host_socket, runtime_folder

OURS = ("host.lock", "specs", "settings", "logs")
"""What a host leaves in its state folder beside its database and its services' data."""
GATEWAY_SECONDS = 30.0


class HostInputs(Document):
    """What is declared."""

    state: str
    gateway: GatewaySettings = GatewaySettings()


class HostHandler(Handler[HostInputs]):
    """Create starts the daemon or adopts it; an update repairs; delete shuts everything down and leaves nothing."""

    name = "Host"
    form = "STATE"
    description = (
        "The local target's daemon: it starts, watches and stops the replicas and the gateway of one state folder."
    )
    inputs = HostInputs
    outputs: ClassVar = {
        "endpoint": {"type": "string", "description": "http://HOST:PORT of the gateway."},
        "running": {"type": "boolean", "description": "Whether the daemon answered when it was last looked at."},
    }
    replace_on = frozenset({"state"})
    delete_first = True  # the new one would want the old one's port
    observed = "running"

    def refuse(self, old: Values, args: HostInputs, operation: Operation) -> list[Failure]:
        """The state folder must be absolute, and the port free or ours already."""
        if not Path(args.state).is_absolute():
            return [Failure("state", f"must be an absolute path, it is {args.state!r}")]
        sockets = {str(host_socket(Path(state))) for state in (args.state, old.get("state")) if isinstance(state, str)}
        if holder := port_holder(args.gateway, sockets):
            return [
                Failure(
                    "gateway.port",
                    f"{args.gateway.port} on {args.gateway.host} is {holder}; choose another target.gateway.port",
                )
            ]
        return []

    def planned(self, inputs: Values, outputs: Values | None) -> Values:
        """The endpoint follows from the inputs; only whether it runs is unknown."""
        return {**super().planned(inputs, outputs), "endpoint": endpoint(inputs.get("gateway"))}

    def altered(self, host: Place, args: HostInputs, outputs: Values) -> str:
        """Another address, or a gateway that could not start."""
        gateway = host.host().gateway
        if gateway.settings != args.gateway:
            return "the gateway listens elsewhere"
        return f"the gateway does not run: {gateway.error}" if gateway.error else ""

    def explain(self, changes: list[Change]) -> str:
        """A new address is the gateway's alone."""
        if any(change.top == "gateway" for change in changes):
            return "in place: the gateway moves to the new address, no replica restarts"
        return ""

    def create(self, inputs: Values, args: HostInputs, operation: Operation) -> tuple[str, Values]:
        """Start or adopt, say where the gateway listens. A busy port leaves a host that the next update repairs."""
        self.hosts.ensure(args.state, operation)
        outputs = {**inputs, "endpoint": endpoint(args.gateway.to_data()), "running": True}
        host = self.hosts.host_writer(args.state, operation)
        operation.status(f"waiting for the gateway on {args.gateway.host}:{args.gateway.port}")
        try:
            state = host.put_gateway(args.gateway, timeout=GATEWAY_SECONDS)
        except HostProblem as problem:
            if problem.code == "StaleEpoch":
                raise
            self.hosts.keep(args.state)
            raise InitFailed(args.state, outputs, inputs, [problem.message]) from problem
        operation.cancellation.check()  # without an engine, nobody would know of it
        self.hosts.keep(args.state)
        if not state.ready:
            raise InitFailed(args.state, outputs, inputs, [not_ready(args.state, state.error)])
        operation.status(f"serving on {args.gateway.host}:{args.gateway.port}")
        return args.state, outputs

    def delete(self, id: str, outputs: Values, args: HostInputs, operation: Operation) -> None:
        """Stop gateway, replicas and daemon, then remove what they kept."""
        host = self.hosts.host_remover(args.state, operation)
        if host is not None:
            pid = host.host().pid
            operation.status("stopping gateway, replicas and host")
            host.shutdown()
            _wait_for_end(pid, operation)
            self.hosts.forget(args.state)
            operation.status("")
        folder = Path(args.state)
        for name in OURS:
            path = folder / name
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        for path in folder.glob(f"{DATABASE}*"):
            path.unlink(missing_ok=True)
        shutil.rmtree(runtime_folder(folder), ignore_errors=True)
        if kept := _prune(folder / "data"):
            operation.info(
                f"kept what users brought: {kept} files in {folder / 'data'}; delete it when nobody needs it"
            )
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()

    def away(self, inputs: Values, outputs: Values) -> tuple[Values, Values]:
        """It does not run, and the next `up` starts it."""
        return inputs, {**outputs, "running": False}

    def found(self, where: Identity, host: Place, inputs: Values, outputs: Values) -> tuple[Values, Values] | None:
        """Where it listens now."""
        gateway = host.host().gateway.settings or GatewaySettings()
        if not inputs or HostInputs.model_validate(inputs).gateway != gateway:
            inputs = {**inputs, "state": where.state, "gateway": gateway.to_data()}
        return inputs, {**inputs, "endpoint": endpoint(gateway.to_data()), "running": True}


def not_ready(state: str, error: str) -> str:
    """Why there is no gateway, and where to look."""
    return f"the gateway is not ready: {error or 'it does not answer'}; its log is {state}/logs/gateway.log"


def endpoint(gateway: object) -> str:
    """http://HOST:PORT; a gateway that listens everywhere is reached on this machine."""
    return gateway_url(GatewaySettings.model_validate(gateway or {}))


def port_holder(settings: GatewaySettings, sockets: set[str]) -> str:
    """Who else holds the gateway's port, in words; empty when it is free, or held for the hosts at `sockets`."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
            return ""
        except PermissionError:
            return "reserved for the superuser"
        except OSError as taken:
            reason = taken.strerror
    pids = {
        c.pid
        for c in psutil.net_connections("tcp")
        if c.laddr and c.laddr.port == settings.port and c.status == psutil.CONN_LISTEN
    }
    names = []
    for pid in pids - {None}:
        try:
            process = psutil.Process(pid)
            if any(word in sockets for word in process.cmdline()):
                return ""
            names.append(f"{process.name()} (process {pid})")
        except psutil.Error:
            continue
    if any(HostClient(Path(path)).path.exists() and _host_binds(path, settings) for path in sockets):
        return ""
    return f"held by {', '.join(names)}" if names else f"not available ({reason})"


def _host_binds(path: str, settings: GatewaySettings) -> bool:
    """The host itself binds the listening socket and passes it on, so it may be the holder that the system names."""
    try:
        return HostClient(Path(path), timeout=0.05).host().gateway.settings == settings
    except (HostGone, HostProblem):
        return False


def _prune(data: Path) -> int:
    """Delete empty folders; how many files there are, which are not ours to delete (uploaded documents, say)."""
    for path in sorted(data.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    files = sum(path.is_file() for path in data.rglob("*"))
    if not files and data.is_dir():
        data.rmdir()
    return files


def _wait_for_end(pid: int, operation: Operation, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            raise Refused(f"the host (process {pid}) was told to shut down and still runs after {seconds:g} s")
        operation.cancellation.sleep(0.05)
