"""Takes away what Pulumi's SDK does at every resource of a stack file's program and nobody reads.

Measured with 237 resources: a third of the state's size (which the engine writes whole, twice for each resource that
changes), and about half of the program's CPU time, with the classes of pulumi_kubernetes (6.2 s before, 2.8 s after).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pulumi
from pulumi.runtime import resource, stack
from pulumi.runtime.proto import source_pb2


def spare() -> None:
    """For this process, and to be called before the first resource.

    1. Stack traces: the SDK puts the Python frames of every resource into the state. A program that is all ours has
       none of the user's lines in them.
    2. Debug messages: three or four blocking calls to the engine for every resource; `pulumi up --debug` shows what
       engine and providers say all the same.
    3. Waiting: at the end the SDK waits for the first of all outstanding outputs, then again for the first of the
       rest: the square of their number.
    """
    resource._get_stack_trace = source_pb2.StackTrace
    pulumi.log.debug = _unsaid
    setattr(stack, "asyncio", _Patient())  # noqa: B010  (its own name of the module, which no type knows)


def _unsaid(
    msg: str, resource: pulumi.Resource | None = None, stream_id: int | None = None, ephemeral: bool | None = None
) -> None:
    """As `pulumi.log.debug`, and silent."""


class _Patient:
    """asyncio, but `wait` is for all, or for the first that fails. What is added meanwhile is waited for after."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    @staticmethod
    async def wait(tasks: Iterable[asyncio.Task[Any]], *, return_when: str) -> Any:
        return await asyncio.wait(list(tasks), return_when=asyncio.FIRST_EXCEPTION)
