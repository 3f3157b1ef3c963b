"""Asks one replica the checks of its version, each on its own clock, and keeps what `checks` makes of the answers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

import aiohttp

from runtime.contract.names import CHECK_PATH
from runtime.contract.version import Probe
from runtime.host import checks as rules
from runtime.host.checks import Checks, Kind

OUTPUT_BYTES = 200
"""Of a failed command's output, in its reason."""


class Checker:
    """`state` is what the answers so far mean; `changed` is called when that is something else for others."""

    def __init__(
        self,
        probes: Mapping[str, Probe],
        *,
        socket: str,
        environment: Mapping[str, str],
        folder: Path,
        age: float,
        passed_before: bool,
        changed: Callable[[], None],
    ) -> None:
        """`age`: seconds since the process started; `environment`, `folder`: of commands."""
        self.state: Checks = rules.begin(probes, passed_before=passed_before)
        self._socket, self._environment, self._folder, self._changed = socket, dict(environment), folder, changed
        self._age = age
        self._tasks: list[asyncio.Task[None]] = []
        self._moved = asyncio.Event()  # started, or dead

    def start(self) -> None:
        """Begin to ask."""
        spawned_at = asyncio.get_running_loop().time() - self._age
        self._tasks = [asyncio.create_task(self._run(kind, spawned_at)) for kind in self.state.probes]

    def stop(self) -> None:
        """Ask no more."""
        for task in self._tasks:
            task.cancel()

    async def _run(self, kind: Kind, spawned_at: float) -> None:
        probe, loop = self.state.probes[kind], asyncio.get_running_loop()
        asked_at: float | None = None
        while not self.state.dead:
            if kind is Kind.STARTUP and self.state.started:
                return
            if not rules.is_asked(self.state, kind):
                await self._moved.wait()
                continue
            late = rules.next_at(probe, spawned_at=spawned_at, asked_at=asked_at) - loop.time()
            if late > 0:
                await asyncio.sleep(late)
            asked_at = loop.time()
            self._take(kind, await self.ask(probe))

    def _take(self, kind: Kind, problem: str) -> None:
        before = self.state
        self.state = rules.after(before, kind, problem)
        if self.state.started != before.started or self.state.dead:
            self._moved.set()
        if _seen(before) != _seen(self.state):
            self._changed()

    async def ask(self, probe: Probe) -> str:
        """Ask once; why it failed, empty when it passed. Never raises."""
        seconds = probe.timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                if probe.http_path is not None:
                    return await self._get(probe.http_path)
                if probe.command is not None:
                    return await self._execute(probe.command)
                return await self._connect()
        except TimeoutError:
            return f"{_name(probe)} took longer than {seconds} s"

    async def _get(self, path: str) -> str:
        connector = aiohttp.UnixConnector(self._socket, force_close=True)
        try:
            async with aiohttp.ClientSession(connector=connector) as session:
                async with session.get(f"http://replica{CHECK_PATH}{path}", allow_redirects=False) as answer:
                    return "" if 200 <= answer.status < 400 else f"GET {path} answered {answer.status}"
        except (aiohttp.ClientError, OSError) as problem:
            return f"GET {path}: {problem}"

    async def _connect(self) -> str:
        try:
            _, writer = await asyncio.open_unix_connection(self._socket)
        except OSError as problem:
            return f"it takes no connection: {problem.strerror or problem}"
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return ""

    async def _execute(self, command: tuple[str, ...]) -> str:
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=self._environment,
                cwd=self._folder,
                start_new_session=True,
            )
        except OSError as problem:
            return f"{command[0]}: {problem.strerror or problem}"
        try:
            output, _ = await process.communicate()
        finally:
            if process.returncode is None:  # the time is over: it and what it started end
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if process.returncode == 0:
            return ""
        said = " ".join(output[-OUTPUT_BYTES:].decode(errors="replace").split())
        return f"{command[0]} ended with {process.returncode}" + (f": {said}" if said else "")


def _name(probe: Probe) -> str:
    if probe.http_path is not None:
        return f"GET {probe.http_path}"
    return probe.command[0] if probe.command else "a connection"


def _seen(checks: Checks) -> tuple[bool, str, str]:
    return checks.passed, checks.dead, checks.waits_for
