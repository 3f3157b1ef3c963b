"""A local address whose connections go through the API server to a ready gateway pod: the same way from any desk.

Note: docs/designs/kubernetes-target.md, rule 4
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

from infra.cluster.pods import name_of
from infra.cluster.reports import ready_gateways
from infra.cluster.session import Session
from runtime.contract.cluster import GATEWAY, GATEWAY_PORT
from runtime.kubeapi import Blocking, ForwardBroken, KubeProblem, PortForward, portforward

READ = 64 * 1024


class Tunnel:
    """Inside `with`, `url` is `http://127.0.0.1:PORT`. `problem` says why the last connection did not come about."""

    def __init__(self, pool: Blocking, session: Session) -> None:
        self._pool, self._session = pool, session
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self.problem = ""
        self.url = ""

    def __enter__(self) -> Self:
        self._pool.run(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.run(self._close())

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.url = f"http://{host}:{port}"

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await self._bridge(reader, writer)
        except KubeProblem as problem:
            self.problem = str(problem)
        except (OSError, asyncio.CancelledError):
            pass  # the caller has gone, or we have
        finally:
            self._open.discard(task)
            writer.close()

    async def _bridge(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        gateways = (await self._session.follow("gateways")).values()
        ready = sorted(name_of(pod) for pod in ready_gateways(gateways))
        if not ready:
            self.problem = f"none of the {len(gateways)} pods of {GATEWAY} is ready"
            return
        async with portforward(self._session.kube, self._session.namespace, ready[0], GATEWAY_PORT) as stream:
            self.problem = ""
            sending = asyncio.create_task(_send(reader, stream))
            try:
                while data := await stream.reader.read(READ):
                    writer.write(data)
                    await writer.drain()
            finally:
                sending.cancel()
                with suppress(asyncio.CancelledError, OSError, ForwardBroken):
                    await sending


async def _send(reader: asyncio.StreamReader, stream: PortForward) -> None:
    while data := await reader.read(READ):
        await stream.write(data)
