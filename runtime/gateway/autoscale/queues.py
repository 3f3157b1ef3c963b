"""How many requests wait inside a version's replicas: each is asked for its status."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import aiohttp
from pydantic import ValidationError

from runtime.contract.host import Endpoint
from runtime.contract.names import STATUS_PATH
from runtime.contract.replica import ReplicaStatus

ASK_SECONDS = 0.8


async def waiting_inside(endpoints: Sequence[Endpoint]) -> int | None:
    """The sum over the replicas that answer in time; None when none does."""
    queues = await asyncio.gather(*(_queue(endpoint.address) for endpoint in endpoints))
    known = [queue for queue in queues if queue is not None]
    return sum(known) if known else None


async def _queue(address: str) -> int | None:
    path = address.removeprefix("unix:")
    connector = aiohttp.UnixConnector(path) if path != address else aiohttp.TCPConnector()
    base = "http://replica" if path != address else address
    timeout = aiohttp.ClientTimeout(total=ASK_SECONDS)
    try:
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            async with session.get(f"{base}{STATUS_PATH}") as response:
                return ReplicaStatus.from_json(await response.read()).queue
    except (aiohttp.ClientError, OSError, TimeoutError, ValidationError):
        return None
