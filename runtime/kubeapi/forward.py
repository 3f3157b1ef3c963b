"""A byte stream to a port of a pod, through the API server's WebSocket (`v4.channel.k8s.io`), and HTTP over it.

A message is a channel's number and its bytes: channel 0 data, channel 1 the kubelet's error text. The first message of
each begins with the port, two bytes, little-endian. The rights it takes: get and create of `pods/portforward`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import aiohttp
from multidict import CIMultiDict

from runtime.kubeapi.client import CONNECT_SECONDS, KubeClient
from runtime.kubeapi.errors import KubeProblem, Unreachable, from_status
from runtime.kubeapi.resources import PODS

PROTOCOL = "v4.channel.k8s.io"
DATA, ERROR = 0, 1
PIECE = 32 * 1024
"""Bytes of one message to the pod: kubelets have small buffers."""
LINE_LIMIT = 64 * 1024
LAST_WORDS_SECONDS = 1.0
BODY_LIMIT = 64 * 1024 * 1024


class ForwardBroken(KubeProblem):
    """The stream to the pod did not come about or broke: nobody listens there, the pod has ended, no HTTP came."""

    def __init__(self, namespace: str, pod: str, port: int, why: str) -> None:
        super().__init__(f"port {port} of pod {pod} in {namespace}: {why}")
        self.namespace, self.pod, self.port, self.why = namespace, pod, port, why


class PortForward:
    """One connection to one port. `reader` ends where the pod closes, or where it breaks: then `why` says it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, namespace: str, pod: str, port: int) -> None:
        self.reader = asyncio.StreamReader(limit=LINE_LIMIT)
        self.why = ""
        self._socket = socket
        self._where = (namespace, pod, port)
        self._begun: set[int] = set()
        self._ended = asyncio.Event()

    async def write(self, data: bytes) -> None:
        """Send bytes to the pod. Raises ForwardBroken."""
        try:
            for start in range(0, len(data), PIECE):
                await self._socket.send_bytes(bytes([DATA]) + data[start : start + PIECE])
        except (ConnectionError, aiohttp.ClientError) as error:
            with suppress(TimeoutError):  # why it was closed came before the end, and may not have been read yet
                await asyncio.wait_for(self._ended.wait(), LAST_WORDS_SECONDS)
            raise self.broken(self.why or str(error) or "the connection was closed") from error

    def broken(self, why: str) -> ForwardBroken:
        """The exception about this stream."""
        return ForwardBroken(*self._where, why)

    async def pump(self) -> None:
        """Bring what comes to `reader`, until the end."""
        async for message in self._socket:
            if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
                continue
            channel, data = message.data[0], message.data[1:]
            if channel not in self._begun:
                self._begun.add(channel)
                data = data[2:]  # the port
            if channel == DATA and data:
                self.reader.feed_data(data)
            elif channel == ERROR and data:
                self.why = data.decode(errors="replace").strip()
                break
        error = self._socket.exception()
        if error is not None and not self.why:
            self.why = str(error)
        self.reader.feed_eof()
        self._ended.set()


@asynccontextmanager
async def portforward(client: KubeClient, namespace: str, pod: str, port: int) -> AsyncIterator[PortForward]:
    """Open a stream to a port of a pod. Raises KubeProblem: ApiProblem, Unreachable, ForwardBroken."""
    about = {"verb": "create", "resource": "pods/portforward", "namespace": namespace, "name": pod}
    refused = False
    while True:
        headers = await client.headers(refused=refused)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                socket = await client.session().ws_connect(
                    client.access.server + PODS.path(namespace, pod, "portforward"),
                    params={"ports": str(port)},
                    protocols=(PROTOCOL,),
                    headers=headers,
                    proxy=client.access.proxy,
                    server_hostname=client.access.server_name,
                    max_msg_size=0,
                )
        except aiohttp.WSServerHandshakeError as error:
            if error.status == 401 and not refused:
                refused = True
                continue
            words = {"reason": "", "message": f"the API server answered {error.status} ({error.message})"}
            raise from_status(error.status, words, **about) from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(client.access.server, str(error) or "it took too long") from error
        break
    stream = PortForward(socket, namespace, pod, port)
    pump = asyncio.create_task(stream.pump())
    try:
        yield stream
    finally:
        pump.cancel()
        with suppress(asyncio.CancelledError):
            await pump
        await socket.close()


@dataclass(frozen=True)
class Answer:
    """A whole HTTP answer."""

    status: int
    headers: Mapping[str, str]  # names in any case
    body: bytes


async def request(
    client: KubeClient,
    namespace: str,
    pod: str,
    port: int,
    method: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    timeout: float = 10.0,
) -> Answer:
    """One HTTP request to a pod, on a stream of its own. `timeout`: seconds for all of it.

    Raises KubeProblem; ForwardBroken also when the pod takes too long or does not answer with HTTP.
    """
    lines = {"Host": "localhost", "Connection": "close", "Content-Length": str(len(body)), **(headers or {})}
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
    try:
        async with asyncio.timeout(timeout), portforward(client, namespace, pod, port) as stream:
            await stream.write(head.encode("latin-1") + body)
            try:
                return await _answer(stream.reader, method)
            except asyncio.IncompleteReadError as error:
                why = stream.why or "it closed the connection before its answer was whole"
                raise stream.broken(why) from error
            except (ValueError, IndexError, asyncio.LimitOverrunError) as error:
                raise stream.broken(f"its answer is no HTTP/1.1 ({error})") from error
    except TimeoutError as error:
        raise ForwardBroken(namespace, pod, port, f"no answer within {timeout:g} s") from error


async def _answer(reader: asyncio.StreamReader, method: str) -> Answer:
    while True:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        protocol, code = lines[0].split(" ", 2)[:2]
        if not protocol.startswith("HTTP/1."):
            raise ValueError(protocol[:20])
        status = int(code)
        if status >= 200:
            break
    headers: CIMultiDict[str] = CIMultiDict()
    for line in lines[1:]:
        if line:
            name, _, value = line.partition(":")
            headers.add(name.strip(), value.strip())
    if method == "HEAD" or status in (204, 304):
        return Answer(status, headers, b"")
    if headers.get("Transfer-Encoding", "").lower() == "chunked":
        return Answer(status, headers, await _chunks(reader))
    if "Content-Length" in headers:
        length = int(headers["Content-Length"])
        if not 0 <= length <= BODY_LIMIT:
            raise ValueError(f"a body of {length} bytes")
        return Answer(status, headers, await reader.readexactly(length))
    return Answer(status, headers, await reader.read(BODY_LIMIT))


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    pieces: list[bytes] = []
    total = 0
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        total += size
        if total > BODY_LIMIT:
            raise ValueError("a body over the limit")
        pieces.append(await reader.readexactly(size))
        await reader.readexactly(2)
    return b"".join(pieces)
