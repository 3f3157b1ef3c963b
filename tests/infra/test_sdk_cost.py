"""What the SDK does for every resource and nobody reads is left out, and nothing else is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import resource, stack

from infra.resources import Token
from infra.sdk_cost import spare
from tests.components.conftest import Declared, Program


class Requests(Declared):
    """Also keeps how many frames each resource was sent with."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[int] = []

    def registers(self, request: Any) -> None:
        self.frames.append(len(request.stackTrace.frames))
        super().registers(request)


@pytest.fixture
def debug(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The severities of what the SDK sends to the engine's log; and whatever is spared is as it was afterwards."""
    for module, name in ((resource, "_get_stack_trace"), (pulumi.log, "debug"), (stack, "asyncio")):
        monkeypatch.setattr(module, name, getattr(module, name))
    sent: list[int] = []
    monkeypatch.setattr(pulumi.log, "_log", lambda engine, severity, *rest: sent.append(severity))
    return sent


def run(folder: Path) -> Requests:
    """A program of one resource."""
    requests = Requests()
    Program(requests, folder, [])(lambda: Token("chat", {"state": "/s", "service": "chat"}))
    assert requests.of("Token")["chat"].inputs == {"state": "/s", "service": "chat"}
    return requests


def test_a_resource_brings_no_frames_and_no_debug_messages(tmp_path: Path, debug: list[int]) -> None:
    assert any(run(tmp_path).frames), "the SDK sends them by itself"
    assert debug
    debug.clear()
    spare()
    assert not any(run(tmp_path).frames)
    assert not debug


async def test_the_end_is_waited_for_once(debug: list[int]) -> None:
    spare()
    both = [asyncio.create_task(asyncio.sleep(seconds)) for seconds in (0, 0.01)]
    done, rest = await stack.asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    assert (done, rest) == (set(both), set())


async def test_a_failure_is_not_waited_for(debug: list[int]) -> None:
    async def fail() -> None:
        raise ValueError("no")

    spare()
    failing, endless = asyncio.create_task(fail()), asyncio.create_task(asyncio.sleep(1000))
    done, rest = await stack.asyncio.wait([failing, endless], return_when=asyncio.FIRST_COMPLETED)
    endless.cancel()
    assert (done, rest) == ({failing}, {endless})
    assert isinstance(failing.exception(), ValueError)
