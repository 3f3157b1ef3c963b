"""One service per method, each reached straight at its replica and through a gateway, served from another thread."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings

from runtime.contract.host import Endpoint, GatewayView, ServiceView
from runtime.contract.route import RouteTable, RouteVersion
from runtime.contract.version import Method
from runtime.gateway.gateway import Gateway
from runtime.gateway.record import Records
from runtime.gateway.server import serving
from runtime.knowledge.base import KnowledgeBase
from tests.runtime.knowledge.embedder import BagOfWords
from tests.runtime.replica.harness import SERVICE, TOKEN, Running, running

INPUTS = int(os.environ.get("INFERFORM_FUZZ", "10000"))
"""Of all tests of this folder together."""
SEED = os.environ.get("INFERFORM_FUZZ_SEED", "")
"""Empty: the same inputs at every run. Another word: other ones."""


def fuzzing(share: float) -> settings:
    """So much of INPUTS. A hang is noticed by each request's own time-out, a slow machine is none."""
    return settings(
        max_examples=max(1, round(INPUTS * share)),
        derandomize=not SEED,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )


@dataclass
class Services:
    """Where they are, and everything that they wrote into a log."""

    direct: dict[Method, str]
    gateway: dict[Method, str]
    replicas: dict[Method, Running] = field(default_factory=dict)
    log: io.StringIO = field(default_factory=io.StringIO)

    def addresses(self, method: Method) -> tuple[str, str]:
        """Without and with a gateway in front."""
        return self.direct[method], self.gateway[method]


@asynccontextmanager
async def _served(folder: Path, method: Method, log: io.StringIO) -> AsyncIterator[tuple[Running, str]]:
    folder.mkdir()
    async with running(folder, {"text": "a b c"}, method=method, template={"context": 64}) as replica:
        replica.replica.knowledge = KnowledgeBase(folder / "data" / "knowledge", BagOfWords())
        gateway = Gateway("fuzz", asyncio.get_running_loop(), Records(log=log))
        endpoint = Endpoint(replica="r", address=f"http://{replica.host}:{replica.port}", ready=True)
        table = RouteTable(service=SERVICE, generation=1, versions={"v1": RouteVersion(hash="H", weight=100)})
        service = ServiceView(table=table, tokens=(TOKEN,), endpoints={"H": (endpoint,)})
        gateway.apply(GatewayView(incarnation="i", revision=1, services={SERVICE: service}))
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        async with serving(gateway, listening):
            yield replica, f"http://127.0.0.1:{listening.getsockname()[1]}"
        gateway.records.flush()
        assert gateway.in_flight() == 0
        async with asyncio.timeout(5):
            await replica.replica.idle.wait()
        assert replica.replica.load().running == 0, "a generation goes on for nobody"


@contextmanager
def services(folder: Path, methods: tuple[Method, ...]) -> Iterator[Services]:
    """Serve until the end of the block; then nothing may be in flight and no log may hold a token or a traceback."""
    found = Services({}, {})
    handler = logging.StreamHandler(found.log)
    started, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()
    failures: list[BaseException] = []

    async def serve() -> None:
        async with AsyncExitStack() as stack:
            for method in methods:
                replica, front = await stack.enter_async_context(_served(folder / method.value, method, found.log))
                found.replicas[method] = replica
                found.direct[method] = f"http://{replica.host}:{replica.port}/api/predict/{SERVICE}"
                found.gateway[method] = f"{front}/api/predict/{SERVICE}"
            started.set()
            await stop.wait()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        except BaseException as failure:  # noqa: BLE001 - raised again in the test's own thread
            failures.append(failure)
        finally:
            started.set()

    logging.getLogger().addHandler(handler)
    thread = threading.Thread(target=run, name="services")
    thread.start()
    try:
        started.wait(30)
        if failures:
            raise failures[0]
        yield found
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()
        logging.getLogger().removeHandler(handler)
    if failures:
        raise failures[0]
    log = found.log.getvalue()
    assert TOKEN not in log
    assert "Traceback" not in log, log[log.index("Traceback") - 2000 :][:6000]
