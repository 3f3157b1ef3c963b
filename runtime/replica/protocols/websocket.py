"""ChatLLM over WebSocket: eas-protocols.md section 5. Raw answer text in TEXT frames, `<EOS>` after every request."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

from aiohttp import WSCloseCode, WSMsgType, web

from runtime.auth import SOCKET_PROTOCOL
from runtime.replica import answers
from runtime.replica.call import CLIENT_LEFT, Call
from runtime.replica.engines.base import Step
from runtime.replica.protocols.chatllm import collect
from runtime.replica.protocols.chatllm_request import ChatRequest, Pair, parse
from runtime.replica.protocols.passages import encode

log = logging.getLogger(__name__)

EOS = b"<EOS>"
HEARTBEAT_SECONDS = 30.0
"""An idle socket is pinged this often; one that does not answer within half of it is closed."""
CLOSE_SECONDS = 2.0
"""How long we wait for the client's Close after ours."""
MAX_PIPELINED = 1024
DEFAULT_MESSAGE_BYTES = 64 * 1024 * 1024


@dataclass(slots=True)
class Dialogue:
    """What one connection remembers."""

    system_prompt: str | None = None
    history: tuple[Pair, ...] = ()


@dataclass(slots=True)
class Pipeline:
    """Requests that wait for their turn: the raw message and when it came (`time.perf_counter()`, loop time)."""

    limit_bytes: float
    pending: asyncio.Queue[tuple[bytes, float, float]] = field(default_factory=asyncio.Queue)
    bytes_pending: int = 0

    def put(self, message: bytes) -> bool:
        """False: too much is waiting already."""
        if self.pending.qsize() >= MAX_PIPELINED or self.bytes_pending + len(message) > self.limit_bytes:
            return False
        self.bytes_pending += len(message)
        self.pending.put_nowait((message, time.perf_counter(), asyncio.get_running_loop().time()))
        return True

    async def take(self) -> tuple[bytes, float, float]:
        """The next request in order of arrival."""
        item = await self.pending.get()
        self.bytes_pending -= len(item[0])
        return item


async def converse(call: Call) -> web.StreamResponse:
    """One socket, from its handshake to its close."""
    call.protocol = "websocket"
    limit = call.settings.limits.body_mib * 1024 * 1024 or DEFAULT_MESSAGE_BYTES
    socket = web.WebSocketResponse(
        timeout=CLOSE_SECONDS,
        autoclose=False,  # we echo the client's close code
        heartbeat=HEARTBEAT_SECONDS,
        protocols=(SOCKET_PROTOCOL,),
        compress=False,
        max_msg_size=int(limit),
    )
    socket.headers.update(call.base_headers)
    await socket.prepare(call.request)
    call.streaming = socket
    call.status = socket.status
    pipeline = Pipeline(limit)
    worker = asyncio.create_task(_Worker(call, socket, pipeline).run())
    code = WSCloseCode.OK
    try:
        # This task does nothing but receive, so pings are answered while the worker generates.
        while True:
            message = await socket.receive()
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                data = message.data.encode() if isinstance(message.data, str) else message.data
                if not pipeline.put(data):
                    code = WSCloseCode.MESSAGE_TOO_BIG
                    break
            else:
                if message.type is WSMsgType.CLOSE and message.data:
                    code = message.data
                break
    finally:
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker
    await socket.close(code=code)
    return socket


class _Worker:
    """Answers one socket's requests strictly one after the other."""

    def __init__(self, call: Call, socket: web.WebSocketResponse, pipeline: Pipeline) -> None:
        self._call, self._socket, self._pipeline = call, socket, pipeline
        self._replica = call.replica
        self._dialogue = Dialogue()

    async def run(self) -> None:
        """Until the socket closes or the replica drains."""
        try:
            while (item := await self._next()) is not None:
                await self._request(*item)
            await self._socket.close(code=WSCloseCode.GOING_AWAY, message=b"the replica stops")
        except ConnectionError:
            return  # the receiving side sees it too and ends the socket

    async def _next(self) -> tuple[bytes, float, float] | None:
        """The next request; None when the replica drains and everything asked is answered."""
        if self._pipeline.pending.qsize():
            return await self._pipeline.take()
        take = asyncio.create_task(self._pipeline.take())
        drain = asyncio.create_task(self._replica.draining.wait())
        try:
            await asyncio.wait((take, drain), return_when=asyncio.FIRST_COMPLETED)
            return take.result() if take.done() else None
        finally:
            take.cancel()
            drain.cancel()

    async def _request(self, message: bytes, arrived: float, arrived_loop: float) -> None:
        seconds = self._replica.settings.current.limits.request_seconds
        code = CLIENT_LEFT
        try:
            async with asyncio.timeout_at(arrived_loop + seconds if seconds else None):
                code = await self._answer(message, arrived)
                await self._socket.send_frame(EOS, WSMsgType.TEXT)
        except TimeoutError:
            code = 408
            reason = f"the request took longer than {seconds:g} s".encode()
            await self._socket.close(code=WSCloseCode.POLICY_VIOLATION, message=reason)
        finally:
            self._replica.metrics.answered("websocket", code)

    async def _answer(self, message: bytes, arrived: float) -> int:
        """Everything before `<EOS>`; the status code that HTTP would have had."""
        try:
            request = self._remembered(parse(message, "", stream_default=True))
            if not request.prompt:
                return 200
            grounded = await encode(self._replica, request)
            async with aclosing(self._replica.generate(grounded.encoded, request.sampling, arrived)) as steps:
                text = await self._send(request, steps)
        except answers.BadRequest as problem:
            return await self._refuse(str(problem), 400)
        except answers.ENGINE_ERRORS as problem:
            return await self._refuse(str(problem), answers.status_of(problem))
        except (ConnectionError, TimeoutError):
            raise
        except Exception:  # the edge of one request: the socket stays open
            log.exception("a request failed unexpectedly")
            return await self._refuse("internal error", 500)
        self._dialogue.history = (*(request.history or ()), (request.prompt, text))
        return 200

    def _remembered(self, request: ChatRequest) -> ChatRequest:
        """The request within this connection's dialogue: its own history and system prompt replace what we kept."""
        dialogue = self._dialogue
        if request.system_prompt is not None:
            dialogue.system_prompt = request.system_prompt
        if request.history is not None:
            dialogue.history = request.history
        return request.within(dialogue.system_prompt, dialogue.history)

    async def _send(self, request: ChatRequest, steps: AsyncGenerator[Step, None]) -> str:
        if not request.stream:
            text, _ = await collect(steps)
            await self._socket.send_frame(text.encode(), WSMsgType.TEXT)
            return text
        delta = self._call.replica.settings.current.wire.stream_mode == "delta"
        whole = b""
        async for step in steps:
            if piece := step.text.encode():
                whole += piece
                await self._socket.send_frame(piece if delta else whole, WSMsgType.TEXT)
        return whole.decode()

    async def _refuse(self, text: str, code: int) -> int:
        await self._socket.send_frame(text.encode(), WSMsgType.TEXT)
        return code
