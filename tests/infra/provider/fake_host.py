"""A host's admin API and its gateway in this process: enough of the contract for the plugin."""

from __future__ import annotations

import http.server
import socketserver
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from runtime.contract.code import host_code
from runtime.contract.document import Document
from runtime.contract.host import (
    Epoch,
    GatewaySettings,
    GatewayState,
    HostInfo,
    Lease,
    Problem,
    ReplicaState,
    RouteState,
    Scale,
    TokenRecord,
    VersionFailure,
    VersionRecord,
    VersionState,
)
from runtime.contract.names import EPOCH_HEADER, VERSION_HEADER
from runtime.contract.paths import host_socket
from runtime.contract.phases import Phase
from runtime.contract.route import RouteTable


class Refusal(Exception):
    """An error answer."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.problem = Problem(code=code, message=message)


@dataclass
class Running:
    """One version: its record, its counts, and what its replicas do when they are started."""

    record: VersionRecord
    live: int = 0
    temporary: int | None = None
    leased: bool = False
    leases: int = 0
    failure: VersionFailure | None = None

    @property
    def wanted(self) -> int:
        return self.temporary if self.leased and self.temporary is not None else self.live


@dataclass
class FakeHost:
    """Answers the admin API on the socket of `state`, and requests to its gateway. `calls`: what was written."""

    state: Path
    stack: str = "organization/proj/dev"
    phase: Callable[[str], Phase] = lambda hash: Phase.READY  # of every replica of a version
    fails: dict[str, VersionFailure] = field(default_factory=dict)
    answers_as: dict[str, str] = field(default_factory=dict)  # hash asked for -> hash that answers
    gateway_status: int = 200
    gateway_ready: bool = True
    busy_port: str = ""
    applies: bool = True  # gateways apply new routes
    pid: int = 2**22 + 1  # no process has it
    code: str = field(default_factory=host_code)
    epoch: int = 0
    settings: GatewaySettings | None = None
    versions: dict[tuple[str, str], Running] = field(default_factory=dict)
    routes: dict[str, RouteTable] = field(default_factory=dict)
    tokens: dict[str, TokenRecord] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    proofs: list[str] = field(default_factory=list)

    def __enter__(self) -> FakeHost:
        path = host_socket(self.state)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.state.mkdir(parents=True, exist_ok=True)
        (self.state / "host.db").touch()
        self._servers = [_UnixServer(str(path), _handler(self._admin)), _Server(("127.0.0.1", 0), _handler(self._ask))]
        self.port = int(self._servers[1].server_address[1])
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()
        host_socket(self.state).unlink(missing_ok=True)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    # The gateway ------------------------------------------------------------------------------------------------------

    def _ask(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        hash = headers.get(VERSION_HEADER.lower(), "")
        self.proofs.append(hash)
        return self.gateway_status, {VERSION_HEADER: self.answers_as.get(hash, hash)}, b'{"response": ""}'

    # The admin API ----------------------------------------------------------------------------------------------------

    def _admin(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        try:
            answer = self._answer(method, path, headers, body)
        except Refusal as refusal:
            return refusal.status, {}, refusal.problem.to_json().encode()
        return 200, {}, answer.encode() if isinstance(answer, str) else answer.to_json().encode()

    def _answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Document | str:
        url = urlsplit(target)
        parts = url.path.strip("/").split("/")[1:]
        if method != "GET":
            self.calls.append(f"{method} {'/'.join(parts)}")
            if (sent := headers.get(EPOCH_HEADER.lower())) is not None and int(sent) < self.epoch:
                raise Refusal(409, "StaleEpoch", f"epoch {sent} is older than {self.epoch}")
        match method, parts:
            case "GET", ["host"]:
                return self._info()
            case "POST", ["epochs"]:
                self.epoch += 1
                return Epoch(epoch=self.epoch)
            case "PUT", ["gateway"]:
                if self.busy_port:
                    raise Refusal(409, "PortBusy", self.busy_port)
                self.settings = GatewaySettings.from_json(body)
                return self._info().gateway
            case "POST", ["shutdown"]:
                for server in self._servers:
                    threading.Thread(target=server.shutdown).start()
                host_socket(self.state).unlink(missing_ok=True)
                return "{}"
            case _, ["services", service, "token"]:
                return self._token(method, service, body)
            case _, ["services", service, "route"]:
                return self._route(method, service, body, parse_qs(url.query))
            case _, ["services", service, "versions", hash, *rest]:
                return self._version(method, service, hash, rest, body)
        raise Refusal(404, "NotFound", f"there is no {target}")

    def _info(self) -> HostInfo:
        gateway = GatewayState(settings=self.settings, ready=self.gateway_ready)
        folder = str(self.state)
        return HostInfo(
            contract=1, stack=self.stack, state_folder=folder, pid=self.pid, incarnation="i", epoch=self.epoch,
            gateway=gateway, code=self.code,
        )  # fmt: skip

    def _token(self, method: str, service: str, body: bytes) -> Document | str:
        present = self.tokens.get(service)
        if method == "PUT":
            record = TokenRecord.from_json(body)
            if present is None or record.rotation > present.rotation:
                self.tokens[service] = record
            return self.tokens[service]
        if present is None:
            raise Refusal(404, "NotFound", f"{service} has no token")
        if method == "DELETE":
            del self.tokens[service]
            return "{}"
        return present

    def _route(self, method: str, service: str, body: bytes, query: dict[str, list[str]]) -> Document | str:
        present = self.routes.get(service)
        if method == "PUT":
            table = RouteTable.from_json(body)
            for version in table.versions.values():
                if (service, version.hash) not in self.versions:
                    raise Refusal(400, "Invalid", f"versions: {version.hash} is not known")
            generation = present.generation if present else 0
            if present is None or table.model_copy(update={"generation": generation}) != present:
                generation += 1
            present = self.routes[service] = table.model_copy(update={"generation": generation})
        if present is None:
            raise Refusal(404, "NotFound", f"{service} has no route")
        if method == "DELETE":
            del self.routes[service]
            return "{}"
        if "wait" in query and not self.applies:
            raise Refusal(409, "Invalid", "no gateway applied it")
        return RouteState(table=present, applied=present.generation if self.applies else present.generation - 1)

    def _version(self, method: str, service: str, hash: str, rest: list[str], body: bytes) -> Document | str:
        key = (service, hash)
        if method == "PUT" and not rest:
            record = VersionRecord.from_json(body)
            if key in self.versions:
                self.versions[key].record = record
            self.versions.setdefault(key, Running(record))
        version = self.versions.get(key)
        if version is None:
            raise Refusal(404, "NotFound", f"{service} has no version {hash}")
        routed = self._routed(service, hash)
        match method, rest:
            case "DELETE", []:
                if routed:
                    raise Refusal(409, "InUse", f"a route names {hash}")
                del self.versions[key]
                return "{}"
            case "PUT", ["scale"]:
                scale = Scale.from_json(body)
                bounds = version.record.bounds
                if scale.temporary:
                    version.temporary = scale.replicas
                elif (scale.replicas or routed) and not bounds.min <= scale.replicas <= bounds.max:
                    raise Refusal(400, "Invalid", f"replicas: {scale.replicas} is outside the bounds")
                else:
                    version.live, version.temporary = scale.replicas, None
                self.calls[-1] += f" {scale.replicas}{' temporary' if scale.temporary else ''}"
            case "PUT", ["lease"]:
                Lease.from_json(body)
                version.leased, version.failure = True, None
                version.leases += 1
            case "DELETE", ["lease"]:
                version.leased, version.temporary = False, None
                return "{}"
            case "GET", ["logs"]:
                return "a line\nthe last line\n"
        return self._state(version, routed)

    def _routed(self, service: str, hash: str) -> bool:
        table = self.routes.get(service)
        return table is not None and any(version.hash == hash for version in table.versions.values())

    def _state(self, version: Running, routed: bool) -> VersionState:
        hash = version.record.hash
        phase = self.phase(hash)
        if version.wanted and hash in self.fails:
            version.failure = self.fails[hash]
        replicas = tuple(
            ReplicaState(
                replica=f"{version.record.service}-{hash}-{number}", pid=1, phase=phase, since=0,
                ready=phase is Phase.READY and hash not in self.fails,
            )
            for number in range(version.wanted)
        )  # fmt: skip
        return VersionState(
            record=version.record, wanted=version.wanted, replicas=replicas, failure=version.failure, routed=routed,
            leased=version.leased,
        )  # fmt: skip


Exchange = Callable[[str, str, dict[str, str], bytes], tuple[int, dict[str, str], bytes]]


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


class _UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


def _handler(exchange: Exchange) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {key.lower(): value for key, value in self.headers.items()}
            status, answer, payload = exchange(self.command, self.path, headers, body)
            with suppress(BrokenPipeError):
                self.send_response(status)
                for key, value in {**answer, "Content-Length": str(len(payload))}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(payload)

        do_GET = do_PUT = do_POST = do_DELETE = _serve

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def address_string(self) -> str:
            return "test"

    return Handler
