"""A synchronous client of the local host's admin API: HTTP with JSON over a unix socket.

Note: docs/designs/local-target.md
"""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlencode

from pydantic import TypeAdapter, ValidationError

from infra.place import Gateways
from runtime.contract.document import Document
from runtime.contract.host import (
    Drift,
    Epoch,
    GatewaySettings,
    GatewayState,
    HostInfo,
    Lease,
    Problem,
    RouteState,
    Scale,
    TokenRecord,
    VersionRecord,
    VersionState,
)
from runtime.contract.names import EPOCH_HEADER, PREDICT_PREFIX
from runtime.contract.paths import host_socket
from runtime.contract.route import RouteTable

Answer = TypeVar("Answer", bound=Document)


class HostProblem(Exception):
    """The host refused: `code` and `message` of its Problem, and the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 0) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


class Absent(HostProblem):
    """NotFound: what was asked for is not there."""

    def __init__(self, message: str, status: int = 404) -> None:
        super().__init__("NotFound", message, status)


class HostGone(Exception):
    """Nobody answers on the socket: there is no host for this state folder, or it died on the way."""


class NoWay(HostGone):
    """There is no way to a cluster: its kubeconfig, its context or its network are not as declared."""


class HostTimeout(HostGone):
    """The host is there and did not answer in time."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float | None) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket instead of a TCP port."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(str(self._path))
        except OSError:
            self.sock.close()
            raise


@dataclass
class StraightWay:
    """The gateway itself: it listens on this machine."""

    url: str
    problem: str = ""


class HostClient:
    """The calls of the admin API. Every call opens its own connection, so a client may be shared between threads.

    `epoch` is sent with every write (None: without). A `timeout` in seconds can be given per client and per call; calls
    that wait on purpose (gateway, route, drain, delete) have longer ones. Raises HostProblem, HostGone and HostTimeout.
    """

    poll_seconds = 0.1

    def __init__(self, path: Path, *, epoch: int | None = None, timeout: float = 10) -> None:
        self.path = path
        self.epoch = epoch
        self.timeout = timeout

    @classmethod
    def of_state(cls, state: Path, *, epoch: int | None = None, timeout: float = 10) -> HostClient:
        """The client of the host that keeps this state folder."""
        return cls(host_socket(state), epoch=epoch, timeout=timeout)

    # The host ------------------------------------------------------------------------------------------------------

    def host(self, *, timeout: float | None = None) -> HostInfo:
        """Who is there."""
        return self._ask(HostInfo, "GET", "/v1/host", timeout=timeout)

    def gateway_url(self, *, timeout: float | None = None) -> str:
        """`http://HOST:PORT`; a gateway that listens everywhere is reached on this machine. Empty without one."""
        settings = self.host(timeout=timeout).gateway.settings
        return "" if settings is None else gateway_url(settings)

    def endpoint(self, service: str, *, timeout: float | None = None) -> str:
        """The URL of a service; empty while there is no gateway."""
        base = self.gateway_url(timeout=timeout)
        return f"{base}{PREDICT_PREFIX}{service}" if base else ""

    def gateways(self, *, timeout: float | None = None) -> Gateways:
        """A host's gateway is there within a second, or its host says why not: nothing to wait for."""
        return Gateways()

    def way_to_gateway(self, url: str = "") -> AbstractContextManager[StraightWay]:
        """Straight to it."""
        return nullcontext(StraightWay(url or self.gateway_url()))

    def new_epoch(self, *, timeout: float | None = None) -> int:
        """Ask for an epoch, which makes all older ones stale. This client does not take it by itself."""
        return self._ask(Epoch, "POST", "/v1/epochs", timeout=timeout).epoch

    def put_gateway(self, settings: GatewaySettings, *, timeout: float = 30) -> GatewayState:
        """Say where the gateway listens, wait for it."""
        return self._ask(GatewayState, "PUT", "/v1/gateway", settings, timeout=timeout)

    def drift(self, *, timeout: float | None = None) -> list[Drift]:
        """What runs and is declared by nothing."""
        return self._list(Drift, "/v1/drift", timeout=timeout)

    def leave(self, *, timeout: float | None = None) -> None:
        """The host exits and leaves everything running: its successor takes over."""
        self._exchange("POST", "/v1/leave", timeout=timeout)

    def shutdown(self, *, timeout: float = 120) -> None:
        """Stop everything and forget the state."""
        self._exchange("POST", "/v1/shutdown", timeout=timeout)

    # Versions ------------------------------------------------------------------------------------------------------

    def versions(self, *, timeout: float | None = None) -> list[VersionState]:
        """All versions of all services."""
        return self._list(VersionState, "/v1/versions", timeout=timeout)

    def version(self, service: str, hash: str, *, timeout: float | None = None) -> VersionState:
        """One version."""
        return self._ask(VersionState, "GET", _version(service, hash), timeout=timeout)

    def lacks(self, service: str, hash: str, *, timeout: float | None = None) -> str:
        """Nothing: a host makes anew what it needs beside its records."""
        return ""

    def put_version(self, record: VersionRecord, *, timeout: float | None = None) -> VersionState:
        """Create, adopt or update the bounds of a version."""
        return self._ask(VersionState, "PUT", _version(record.service, record.hash), record, timeout=timeout)

    def delete_version(self, service: str, hash: str, *, timeout: float = 120) -> None:
        """Drain, stop and forget a version; returns when it is gone. Absent is fine."""
        self._delete(_version(service, hash), timeout=timeout)

    def scale(self, service: str, hash: str, scale: Scale, *, timeout: float | None = None) -> VersionState:
        """Set the live count."""
        return self._ask(VersionState, "PUT", f"{_version(service, hash)}/scale", scale, timeout=timeout)

    def lease(self, service: str, hash: str, seconds: float, *, timeout: float | None = None) -> VersionState:
        """Begin or renew a rollout's lease."""
        return self._ask(
            VersionState, "PUT", f"{_version(service, hash)}/lease", Lease(seconds=seconds), timeout=timeout
        )

    def end_lease(self, service: str, hash: str, *, timeout: float | None = None) -> None:
        """End a rollout's lease. Absent is fine."""
        self._delete(f"{_version(service, hash)}/lease", timeout=timeout)

    def drain(self, service: str, hash: str, *, timeout: float = 120) -> VersionState:
        """Wait until no request is in flight on it, at most its drain seconds."""
        return self._ask(VersionState, "POST", f"{_version(service, hash)}/drain", timeout=timeout)

    def logs(self, service: str, hash: str, *, replica: str = "", tail: int = 200) -> str:
        """The last lines of a version's replicas, or of one."""
        query = _log_query(replica, tail, follow=False)
        return self._exchange("GET", f"{_version(service, hash)}/logs?{query}").decode(errors="replace")

    def follow_logs(self, service: str, hash: str, *, replica: str = "", tail: int = 200) -> Iterator[str]:
        """The last lines, then new ones as they come, without their line ends; ends when the host does."""
        query = _log_query(replica, tail, follow=True)
        with closing(_UnixConnection(self.path, None)) as connection:
            try:
                answer = self._request(connection, "GET", f"{_version(service, hash)}/logs?{query}", b"")
                while line := answer.readline():
                    yield line.decode(errors="replace").rstrip("\r\n")
            except (OSError, http.client.HTTPException) as lost:
                raise self._gone(lost) from lost

    # Route and token -----------------------------------------------------------------------------------------------

    def route(self, service: str, *, timeout: float | None = None) -> RouteState:
        """The route of a service."""
        return self._ask(RouteState, "GET", _route(service), timeout=timeout)

    def put_route(self, table: RouteTable, *, url: str = "", timeout: float | None = None) -> RouteState:
        """Write a route; the answer has its generation. A host knows its services' URLs by itself."""
        return self._ask(RouteState, "PUT", _route(table.service), table, timeout=timeout)

    def wait_route(self, service: str, generation: int, *, seconds: float) -> RouteState:
        """Wait until every ready gateway has applied the generation; HostProblem `Invalid` when the time is over."""
        query = urlencode({"wait": generation, "seconds": seconds})
        return self._ask(RouteState, "GET", f"{_route(service)}?{query}", timeout=seconds + self.timeout)

    def delete_route(self, service: str, *, timeout: float | None = None) -> None:
        """Delete a route. Absent is fine."""
        self._delete(_route(service), timeout=timeout)

    def token(self, service: str, *, timeout: float | None = None) -> TokenRecord:
        """The token of a service."""
        return self._ask(TokenRecord, "GET", _token(service), timeout=timeout)

    def put_token(self, service: str, record: TokenRecord, *, timeout: float | None = None) -> TokenRecord:
        """Set a token; the answer is the one that holds (the first of a rotation wins)."""
        return self._ask(TokenRecord, "PUT", _token(service), record, timeout=timeout)

    def delete_token(self, service: str, *, timeout: float | None = None) -> None:
        """Delete a token. Absent is fine."""
        self._delete(_token(service), timeout=timeout)

    # The wire ------------------------------------------------------------------------------------------------------

    def _ask(
        self,
        answer: type[Answer],
        method: str,
        path: str,
        body: Document | None = None,
        *,
        timeout: float | None = None,
    ) -> Answer:
        payload = self._exchange(method, path, body, timeout=timeout)
        try:
            return answer.from_json(payload)
        except ValidationError as strange:
            raise HostProblem(
                "Invalid", f"the host's answer to {method} {path} is no {answer.__name__}: {strange}"
            ) from strange

    def _list(self, answer: type[Answer], path: str, *, timeout: float | None) -> list[Answer]:
        payload = self._exchange("GET", path, timeout=timeout)
        try:
            return TypeAdapter(list[answer]).validate_json(payload)  # type: ignore[valid-type]
        except ValidationError as strange:
            raise HostProblem(
                "Invalid", f"the host's answer to GET {path} is no list of {answer.__name__}: {strange}"
            ) from strange

    def _delete(self, path: str, *, timeout: float | None) -> None:
        with suppress(Absent):
            self._exchange("DELETE", path, timeout=timeout)

    def _exchange(self, method: str, path: str, body: Document | None = None, *, timeout: float | None = None) -> bytes:
        payload = body.to_json().encode() if body is not None else b""
        with closing(_UnixConnection(self.path, self.timeout if timeout is None else timeout)) as connection:
            try:
                return self._request(connection, method, path, payload).read()
            except TimeoutError as late:
                raise HostTimeout(f"the host did not answer {method} {path} in {connection.timeout:g} s") from late
            except (OSError, http.client.HTTPException) as lost:
                raise self._gone(lost) from lost

    def _request(self, connection: _UnixConnection, method: str, path: str, payload: bytes) -> http.client.HTTPResponse:
        headers = {"Content-Type": "application/json"} if payload else {}
        if self.epoch is not None and method != "GET":
            headers[EPOCH_HEADER] = str(self.epoch)
        connection.request(method, path, body=payload or None, headers=headers)
        answer = connection.getresponse()
        if answer.status >= 400:
            raise _problem(answer.status, answer.read())
        return answer

    def _gone(self, cause: Exception) -> HostGone:
        return HostGone(f"no host answers on {self.path} ({cause})")


def gateway_url(settings: GatewaySettings) -> str:
    """`http://HOST:PORT`; a gateway that listens everywhere is reached on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)
    return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{settings.port}"


def _problem(status: int, payload: bytes) -> HostProblem:
    try:
        problem = Problem.from_json(payload)
    except ValidationError:
        return HostProblem("Invalid", payload.decode(errors="replace")[:500] or f"HTTP {status}", status)
    if problem.code == "NotFound":
        return Absent(problem.message, status)
    return HostProblem(problem.code, problem.message, status)


def _version(service: str, hash: str) -> str:
    return f"/v1/services/{quote(service, safe='')}/versions/{quote(hash, safe='')}"


def _log_query(replica: str, tail: int, *, follow: bool) -> str:
    chosen = {"replica": replica} if replica else {}
    return urlencode({**chosen, "tail": tail, "follow": int(follow)})


def _route(service: str) -> str:
    return f"/v1/services/{quote(service, safe='')}/route"


def _token(service: str) -> str:
    return f"/v1/services/{quote(service, safe='')}/token"
