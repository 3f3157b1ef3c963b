"""What the gateway's benchmarks share: the proxies as processes, a light load generator, medians and ranges."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import psutil

from runtime.contract.host import Endpoint, GatewayView, ServiceView
from runtime.contract.replica import Limits
from runtime.contract.route import RouteTable, RouteVersion

TOKEN = "bench-token"
PATH = "/api/predict/chat"
BODY = b'{"model": "m", "messages": [{"role": "user", "content": "%s"}], "max_tokens": 64}' % (b"a question " * 16)


@dataclass(frozen=True)
class Target:
    """Where load goes, and the processes whose CPU and memory are counted."""

    name: str
    port: int | None  # None: the upstream's own socket
    socket: str
    pids: tuple[int, ...]
    prefix: str = PATH

    def cpu_seconds(self) -> float:
        """User and system time of its processes."""
        total = 0.0
        for pid in self.pids:
            times = psutil.Process(pid).cpu_times()
            total += times.user + times.system
        return total

    def rss_mib(self) -> float:
        """Resident memory of its processes."""
        return sum(psutil.Process(pid).memory_info().rss for pid in self.pids) / 2**20


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, seconds: float = 20) -> None:
    """Until something accepts on the port."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def view(sockets: Sequence[str], **limits: float) -> GatewayView:
    """One service on the given replicas."""
    table = RouteTable(
        service="chat",
        generation=1,
        versions={"main": RouteVersion(hash="aaaaaaaaaa", weight=100)},
        limits=Limits.model_validate(limits),
    )
    endpoints = tuple(
        Endpoint(replica=f"chat-{n}", address=f"unix:{each}", ready=True) for n, each in enumerate(sockets)
    )
    return GatewayView(
        incarnation="bench",
        revision=1,
        services={"chat": ServiceView(table=table, tokens=(TOKEN,), endpoints={"aaaaaaaaaa": endpoints})},
    )


@contextmanager
def process(
    *command: str, ready: bytes = b"", environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A child process, stopped at the end; `ready` is a line of its output to wait for."""
    child = subprocess.Popen(command, stdout=subprocess.PIPE if ready else subprocess.DEVNULL, env=environment)
    try:
        if ready:
            assert child.stdout is not None
            line = child.stdout.readline()
            assert ready in line, f"{command} said {line!r}"
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdout is not None:
            child.stdout.close()


class Bench(ExitStack):
    """A folder with an upstream, and the proxies that are started in front of it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(self.enter_context(tempfile.TemporaryDirectory(prefix="gwb-")))
        self.socket = str(self.folder / "u.sock")
        self.port = free_port()
        command = (
            sys.executable,
            "-m",
            "tests.bench.gateway_upstream",
            "--socket",
            self.socket,
            "--port",
            str(self.port),
        )
        self.upstream = self.enter_context(process(*command, ready=b"ready"))

    def direct(self) -> Target:
        """No proxy."""
        return Target("direct", None, self.socket, ())

    def gateway(self, *options: str, sockets: Sequence[str] = (), access_log: str = "all") -> Target:
        """Ours, authorization, limits and access log on."""
        port = free_port()
        file = self.folder / f"view-{port}.json"
        file.write_text(view(sockets or [self.socket]).to_json())
        child = self.enter_context(
            process(
                *(sys.executable, "-m", "runtime.gateway", "--view", str(file), "--listen", f"127.0.0.1:{port}"),
                *("--access-log", access_log, *options),
            )
        )
        wait_for_port(port)
        return Target("gateway", port, self.socket, (child.pid,))

    def plain_proxy(self) -> Target:
        """A 15-line aiohttp proxy."""
        port = free_port()
        command = (sys.executable, "-m", "tests.bench.gateway_plain_proxy", self.socket, str(port))
        child = self.enter_context(process(*command))
        wait_for_port(port)
        return Target("aiohttp proxy", port, self.socket, (child.pid,))

    def nginx(self) -> Target | None:
        """nginx with one worker, kept connections to the upstream and no buffering; None where it is not installed."""
        binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        if binary is None:
            print("nginx is not installed (Debian: apt-get install nginx-light); left out")
            return None
        port = free_port()
        config = self.folder / "nginx.conf"
        user = f"user {os.environ.get('USER', 'root')};" if os.getuid() == 0 else ""
        config.write_text(f"""
{user} worker_processes 1; daemon off; pid {self.folder}/nginx.pid; error_log {self.folder}/error.log;
worker_rlimit_nofile 20000;
events {{ worker_connections 10000; }}
http {{
  access_log {self.folder}/access.log;
  client_body_temp_path {self.folder}/b; proxy_temp_path {self.folder}/p; fastcgi_temp_path {self.folder}/f;
  uwsgi_temp_path {self.folder}/w; scgi_temp_path {self.folder}/s;
  keepalive_requests 1000000000;
  upstream replica {{ server unix:{self.socket}; keepalive 4096; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://replica; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
      proxy_read_timeout 600;
    }}
  }}
}}
""")
        child = self.enter_context(process(binary, "-c", str(config), "-e", str(self.folder / "error.log")))
        wait_for_port(port)
        workers = psutil.Process(child.pid).children()
        return Target("nginx", port, self.socket, (child.pid, *(worker.pid for worker in workers)))

    def litellm(self, python: str) -> Target:
        """LiteLLM's proxy out of the virtual environment of `python`; it speaks OpenAI's API and TCP only."""
        port = free_port()
        config = self.folder / "litellm.yaml"
        parameters = f"{{model: openai/m, api_base: 'http://127.0.0.1:{self.port}/v1', api_key: x}}"
        config.write_text(f"model_list: [{{model_name: m, litellm_params: {parameters}}}]\n")
        environment = os.environ | {"LITELLM_MASTER_KEY": TOKEN, "LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION"}
        command = str(Path(python).with_name("litellm"))
        options = ("--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1")
        child = self.enter_context(process(command, *options, environment=environment))
        wait_for_port(port, 120)
        return Target("LiteLLM", port, self.socket, (child.pid,), prefix="")


class Client(asyncio.Protocol):
    """One kept connection. `exchange` sends a request and gives the raw answer's head; a stream reports its chunks."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._done: asyncio.Future[bytes] | None = None
        self._head = b""
        self._length: int | None = None
        self._on_bytes: Callable[[bytes], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._transport = None
        if self._done is not None and not self._done.done():
            self._done.set_exception(ConnectionResetError("closed in mid-answer"))

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._done is None or self._done.done():
            return
        if not self._head:
            self._buffer += data
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            self._head = bytes(self._buffer[:end])
            data = bytes(self._buffer[end + 4 :])
            self._buffer.clear()
            lower = self._head.lower()
            at = lower.find(b"content-length:")
            self._length = int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else None
        if self._on_bytes is not None and data:
            self._on_bytes(data)
        self._buffer += data
        if self._length is not None:
            if len(self._buffer) >= self._length:
                self._done.set_result(self._head)
        else:
            if self._buffer.endswith(b"0\r\n\r\n") and self._buffer[-7:-5] in (bytearray(b"\r\n"), bytearray()):
                self._done.set_result(self._head)
            del self._buffer[:-8]

    async def exchange(self, request: bytes, on_bytes: Callable[[bytes], None] | None = None) -> bytes:
        """Send one request; the head of its answer once the whole answer is here. Raises ConnectionResetError."""
        if self._transport is None:
            raise ConnectionResetError("not connected")
        self._buffer.clear()
        self._head, self._length, self._on_bytes = b"", None, on_bytes
        self._done = self._loop.create_future()
        self._transport.write(request)
        return await self._done

    def close(self) -> None:
        """Close."""
        if self._transport is not None:
            self._transport.abort()


async def connect(target: Target) -> Client:
    """A connection to a target."""
    loop = asyncio.get_running_loop()
    if target.port is None:
        return (await loop.create_unix_connection(Client, target.socket))[1]
    return (await loop.create_connection(Client, "127.0.0.1", target.port))[1]


def request(path: str, body: bytes = BODY, prefix: str = PATH) -> bytes:
    """A request with the service's token."""
    return (
        f"POST {prefix}{path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"User-Agent: bench/1\r\nAccept: */*\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def percentile(values: Sequence[float], percent: float) -> float:
    """Nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def spread(values: Sequence[float], unit: str = "", digits: int = 3) -> str:
    """Median and range over the rounds."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f}{unit} ({low:.{digits}f} to {high:.{digits}f})"
