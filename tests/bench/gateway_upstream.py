"""A scripted replica for the gateway's benchmarks, light enough not to be what is measured.

`python -m tests.bench.gateway_upstream --socket PATH [--port N]`. POST .../stream?chunks=N&rate=R streams N chunks of
32 bytes, R a second (0: as fast as the connection takes them); each begins with its monotonic time of sending in
nanoseconds. POST .../flaky fails in turns: reset before an answer, reset in mid-body, 500, slow, fine. POST of any
other path answers a chat completion.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import time
from typing import cast

import orjson
import uvloop

CHUNK = 32
_STREAM = re.compile(rb"/stream\?chunks=(\d+)&rate=([\d.]+)")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ANSWER = orjson.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "x" * 60},
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
)
_ECHO = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_ANSWER) + _ANSWER
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk() -> bytes:
    """One chunk, framing included, stamped with the time."""
    return b"%x\r\n%020d%s\r\n" % (CHUNK, time.monotonic_ns(), b"." * (CHUNK - 20))


class Upstream(asyncio.Protocol):
    """One connection; one request at a time."""

    flaky = 0

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._transport = None
        self._writable.set()

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or self._transport is None:
            return
        head = self._buffer[: end + 2]
        length = _LENGTH.search(head)
        whole = end + 4 + (int(length[1]) if length else 0)
        if len(self._buffer) < whole:
            return
        self._buffer = self._buffer[whole:]
        line = head[: head.index(b"\r\n")]
        stream = _STREAM.search(line)
        if stream:
            self._task = self._loop.create_task(self._stream(int(stream[1]), float(stream[2])))
        elif b"/flaky" in line:
            self._task = self._loop.create_task(self._flaky())
        else:
            self._transport.write(_ECHO)

    async def _stream(self, chunks: int, rate: float) -> None:
        self._write(_STREAM_HEAD)
        start = self._loop.time()
        for number in range(chunks):
            if rate:
                await asyncio.sleep(max(0.0, start + (number + 1) / rate - self._loop.time()))
            elif not self._writable.is_set():
                await self._writable.wait()
            elif number % 64 == 63:
                await asyncio.sleep(0)
            if self._transport is None:
                return
            self._write(chunk())
        self._write(b"0\r\n\r\n")

    async def _flaky(self) -> None:
        Upstream.flaky += 1
        match Upstream.flaky % 6:
            case 0:
                self._abort()
            case 1:
                self._write(_STREAM_HEAD + chunk())
                await asyncio.sleep(0.005)
                self._abort()
            case 2:
                self._write(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\n{}")
            case 3:
                await asyncio.sleep(0.05)
                self._write(_ECHO)
            case 4:
                self._write(b"HTTP/1.1 450 Queue Full\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            case _:
                self._write(_ECHO)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


async def serve(path: str, port: int | None) -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(Upstream, path, backlog=4096)
    if port is not None:
        await loop.create_server(Upstream, "127.0.0.1", port)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", required=True)
    parser.add_argument("--port", type=int, help="listen there too, for a peer that knows no unix sockets")
    options = parser.parse_args()
    uvloop.run(serve(options.socket, options.port))
