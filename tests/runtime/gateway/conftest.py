"""Replicas that are stopped when their test ends."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import pytest
import uvloop

from tests.runtime.gateway.harness import Replica, Script, answering

MakeReplica = Callable[..., Awaitable[Replica]]


@pytest.fixture
async def replica() -> AsyncIterator[MakeReplica]:
    """Start a scripted replica: `await replica("a", script)`."""
    started: list[Replica] = []
    with tempfile.TemporaryDirectory(prefix="gw-") as folder:  # short: a socket's path has at most 107 bytes

        async def start(name: str = "a", script: Script = answering, *, listen: bool = True) -> Replica:
            made = Replica(name, Path(folder), script)
            started.append(made)
            return await made.start() if listen else made

        yield start
        for each in started:
            await each.stop()


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run on the loop that the process runs on."""
    return {"uvloop": uvloop.new_event_loop}
