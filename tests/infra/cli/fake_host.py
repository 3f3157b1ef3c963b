"""A host's admin API and its gateway, in memory: what the command's tests talk to over a real unix socket and TCP."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from runtime.contract.host import (
    Drift,
    GatewaySettings,
    GatewayState,
    HostInfo,
    ReplicaState,
    RouteState,
    TokenRecord,
    VersionRecord,
    VersionState,
)
from runtime.contract.names import CONTRACT_VERSION
from runtime.contract.phases import Phase
from runtime.contract.route import RouteTable, RouteVersion
from runtime.contract.version import Bounds, EngineKind, Method, ModelReference, VersionTemplate

TOKEN = "the-token"


def version_state(service: str, name: str, *, ready: bool = True, **state: Any) -> VersionState:
    """A version with one replica; its name is in its template, so that each has a hash of its own."""
    model = ModelReference(name=f"model-of-{name}", source="/models/x", digest=name)
    template = VersionTemplate(method=Method.STANDARD, engine=EngineKind.TRANSFORMERS, model=model, env={"SECRET": "s"})
    record = VersionRecord(
        service=service, name=name, hash=template.hash(), template=template, bounds=Bounds(min=1, max=2)
    )
    replica = ReplicaState(
        replica=f"{service}-{record.hash}-0",
        pid=42,
        phase=Phase.READY if ready else Phase.WEIGHTS,
        since=1000.0,
        detail="" if ready else "120 of 269 MB",
        ready=ready,
    )
    return VersionState(**{"record": record, "wanted": 1, "replicas": (replica,), "routed": True, **state})


class FakeHost:
    """The answers, to be changed by a test; `requests` is what was asked."""

    def __init__(self) -> None:
        self.versions = [version_state("chat", "main")]
        self.stopped = False
        self.weights = {"main": 100}
        self.port = 0
        self.drift: list[Drift] = []
        self.logs = "one\ntwo\n"
        self.records = [{"response": "Ott"}, {"response": "Ottawa"}]
        self.status = 200
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []

    def admin(self, method: str, path: str) -> tuple[int, str]:
        """One call of the admin API: status and body."""
        parts = urlsplit(path)
        words = parts.path.strip("/").split("/")
        match [method, *words]:
            case ["GET", "v1", "host"]:
                gateway = GatewayState(settings=GatewaySettings(port=self.port), pid=7, ready=True)
                info = HostInfo(
                    contract=CONTRACT_VERSION,
                    stack="organization/demo/local",
                    state_folder="/state",
                    pid=6,
                    incarnation="a",
                    epoch=1,
                    gateway=gateway,
                )
                return 200, info.to_json()
            case ["GET", "v1", "versions"]:
                return 200, json.dumps([each.to_data() for each in self.versions])
            case ["GET", "v1", "drift"]:
                return 200, json.dumps([each.to_data() for each in self.drift])
            case ["GET", "v1", "services", service, "token"] if service == "chat":
                return 200, TokenRecord(token=TOKEN, rotation=3).to_json()
            case ["GET", "v1", "services", service, "route"] if service == "chat":
                by_name = {
                    each.record.name: each.record.hash for each in self.versions if each.record.service == "chat"
                }
                routed = {
                    name: RouteVersion(hash=by_name[name], weight=weight) for name, weight in self.weights.items()
                }
                table = RouteTable(service="chat", generation=4, versions=routed, stopped=self.stopped)
                return 200, RouteState(table=table, applied=4).to_json()
            case ["GET", "v1", "services", _, "versions", _, "logs"]:
                lines = int(parse_qs(parts.query)["tail"][0])
                return 200, "".join(f"{line}\n" for line in self.logs.splitlines()[-lines:])
        return 404, json.dumps({"code": "NotFound", "message": f"{method} {path}"})


class _Admin(BaseHTTPRequestHandler):
    host: FakeHost

    def answer(self) -> None:
        self.host.requests.append((self.command, self.path, dict(self.headers), b""))
        status, body = self.host.admin(self.command, self.path)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    do_GET = do_PUT = do_POST = do_DELETE = answer

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def address_string(self) -> str:
        return "socket"


class _Gateway(BaseHTTPRequestHandler):
    host: FakeHost
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.host.requests.append((self.command, self.path, dict(self.headers), body))
        if self.host.status != 200:
            payload = b'{"error": {"message": "no healthy upstream"}}'
        elif json.loads(body)["use_stream_chat"]:
            payload = b"".join(json.dumps(record).encode() + b"\0" for record in self.host.records)
        else:
            payload = json.dumps(self.host.records[-1]).encode()
        self.send_response(self.host.status)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class _UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@contextmanager
def serving(socket: Path) -> Iterator[FakeHost]:
    """A fake host on a unix socket and its gateway on a free port."""
    host = FakeHost()
    socket.parent.mkdir(parents=True, exist_ok=True)
    with (
        _UnixServer(str(socket), type("Admin", (_Admin,), {"host": host})) as admin,
        ThreadingHTTPServer(("127.0.0.1", 0), type("Gateway", (_Gateway,), {"host": host})) as gateway,
    ):
        host.port = gateway.server_address[1]
        threads = [threading.Thread(target=server.serve_forever, args=(0.01,)) for server in (admin, gateway)]
        for thread in threads:
            thread.start()
        try:
            yield host
        finally:
            admin.shutdown()
            gateway.shutdown()
            for thread in threads:
                thread.join()
