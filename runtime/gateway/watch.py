"""Follows the host's view of what there is to serve, and reports back what was applied and what goes on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
from pydantic import ValidationError

from runtime.contract.host import GatewayView
from runtime.gateway.gateway import Gateway

REPORT_SECONDS = 1.0
RECONNECT_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0)
_HOST = "http://host"  # the socket decides; the name is only for the Host header
_logger = logging.getLogger(__name__)


class Watch:
    """The link to the host. While the host is dead the last view stays."""

    def __init__(self, gateway: Gateway, host_socket: Path) -> None:
        self._gateway = gateway
        self._socket = host_socket
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Watch and report until cancelled."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5.0)
        connector = aiohttp.UnixConnector(path=str(self._socket))
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch(session))
                group.create_task(self._report(session))

    async def _watch(self, session: aiohttp.ClientSession) -> None:
        failures = 0
        while True:
            try:
                async with session.get(f"{_HOST}/v1/watch") as response:
                    response.raise_for_status()
                    async for line in _lines(response.content):
                        self._apply(line)
                        failures = 0
                _logger.info("the host ended the watch; connecting again")
            except (aiohttp.ClientError, OSError) as error:
                if failures == 0:
                    _logger.warning(
                        "no watch on the host (%s); serving what was last seen", str(error) or type(error).__name__
                    )
            await asyncio.sleep(RECONNECT_SECONDS[min(failures, len(RECONNECT_SECONDS) - 1)])
            failures += 1

    def _apply(self, line: bytes) -> None:
        try:
            view = GatewayView.from_json(line)
            self._gateway.apply(view)
        except (ValidationError, ValueError) as error:  # never the line itself: it holds tokens
            fields = [".".join(map(str, each["loc"])) for each in error.errors()] if hasattr(error, "errors") else []
            _logger.error("the host sent a view that this gateway cannot read; kept the last one (%s)", fields or error)
            return
        self._changed.set()

    async def _report(self, session: aiohttp.ClientSession) -> None:
        while True:
            self._changed.clear()
            report = self._gateway.report()
            if report is not None:
                try:
                    async with session.post(
                        f"{_HOST}/v1/gateway/report",
                        data=report.to_json(),
                        headers={"Content-Type": "application/json"},
                        timeout=aiohttp.ClientTimeout(total=5.0),
                    ) as response:
                        if response.status >= 300:
                            _logger.warning("the host refused a report: %d", response.status)
                except (aiohttp.ClientError, OSError):
                    pass  # the watch says so once; the next report carries the same counts
            try:
                async with asyncio.timeout(REPORT_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                self._gateway.sweep()


async def follow_file(gateway: Gateway, path: Path, interval: float = 0.2) -> None:
    """Serve a view from a file without a host, for tests and benchmarks: read now, and again when it changes."""
    seen = (0, 0)
    while True:
        status = path.stat()
        if (status.st_mtime_ns, status.st_ino) != seen:
            seen = (status.st_mtime_ns, status.st_ino)
            gateway.apply(GatewayView.from_json(path.read_bytes()))
        gateway.sweep()
        await asyncio.sleep(interval)


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length; of several that came at once only the newest, for each is the whole view."""
    rest = b""
    async for chunk in content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in reversed(lines):
            if line.strip():
                yield line
                break
