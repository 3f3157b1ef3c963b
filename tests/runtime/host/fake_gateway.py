"""A gateway in thirty lines: watches the host, reports what it has applied, answers every connection with its pid."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys

import aiohttp

from runtime.contract.host import GatewayReport, GatewayView


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"%d" % os.getpid())
    await writer.drain()
    writer.close()


async def follow(path: str, nonce: str) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as session:
        async with session.get("http://host/v1/watch") as lines:
            async for line in lines.content:
                view = GatewayView.from_json(line)
                generations = {
                    name: service.table.generation for name, service in view.services.items() if service.table
                }
                report = GatewayReport(
                    gateway=nonce, incarnation=view.incarnation, revision=view.revision, generations=generations
                )
                async with session.post("http://host/v1/gateway/report", data=report.to_json()):
                    pass


async def main(path: str, descriptor: int, nonce: str) -> None:
    listener = socket.socket(fileno=descriptor)
    listener.setblocking(False)
    await asyncio.start_server(greet, sock=listener)
    while True:
        with contextlib.suppress(aiohttp.ClientError, OSError):
            await follow(path, nonce)
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    given = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
    asyncio.run(main(given["--host-socket"], int(given["--fd"]), given["--nonce"]))
