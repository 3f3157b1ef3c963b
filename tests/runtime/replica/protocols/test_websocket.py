"""Section 5 of eas-protocols.md: frames, order, memory, pings, close codes, byte for byte."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.replica.harness import PREFIX, TOKEN, Running, request_bytes, running, until

MASK = bytes.fromhex("37fa213d")
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
EOS = (TEXT, b"<EOS>")


class Socket:
    """A raw client: writes masked frames, reads frames as (opcode, payload)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, payload: Any, opcode: int = TEXT) -> None:
        data = (
            payload
            if isinstance(payload, bytes)
            else (payload if isinstance(payload, str) else json.dumps(payload)).encode()
        )
        length = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
        masked = bytes(byte ^ MASK[at % 4] for at, byte in enumerate(data))
        self.writer.write(bytes([0x80 | opcode]) + length + MASK + masked)

    async def frame(self) -> tuple[int, bytes]:
        first, length = await self.reader.readexactly(2)
        assert first & 0xF0 == 0x80, "server frames are whole and have no reserved bits"
        if length == 126:
            length = int.from_bytes(await self.reader.readexactly(2), "big")
        return first & 0x0F, await self.reader.readexactly(length)

    async def until_eos(self) -> list[str]:
        texts = []
        while (frame := await self.frame()) != EOS:
            assert frame[0] == TEXT
            texts.append(frame[1].decode())
        return texts


@asynccontextmanager
async def connected(replica: Running, path: str = PREFIX, **headers: str) -> AsyncIterator[Socket]:
    reader, writer = await replica.connect()
    writer.write(handshake(path, **headers))
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101"), head
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head
    assert b"Sec-WebSocket-Extensions" not in head
    try:
        yield Socket(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()


def handshake(path: str = PREFIX, **headers: str) -> bytes:
    return request_bytes(
        path=path,
        Upgrade="websocket",
        Connection="Upgrade",
        Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==",
        Sec_WebSocket_Version="13",
        Sec_WebSocket_Extensions="permessage-deflate",
        **headers,
    )


async def test_5_the_bytes_are_those_of_the_protocol(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": "Hello !"}) as replica, connected(replica) as socket:
        socket.writer.write(bytes.fromhex("818f37fa213d4cd8514f5897514915c003555ed85c"))
        expected = b"\x81\x05Hello" + b"\x81\x07Hello !" + b"\x81\x05<EOS>"
        assert await socket.reader.readexactly(len(expected)) == expected
        socket.writer.write(bytes.fromhex("888237fa213d3412"))
        assert await socket.reader.read() == bytes.fromhex("880203e8")


async def test_5_five_pipelined_requests_give_five_eos_in_order(tmp_path: Path) -> None:
    async with running(tmp_path) as replica, connected(replica) as socket:
        socket.send({"system_prompt": "be brief"})
        for prompt in ("one", "two", "three", "four"):
            socket.send({"prompt": prompt})
        answers = [await socket.until_eos() for _ in range(5)]
    assert answers == [[], ["one"], ["two"], ["three"], ["four"]]


async def test_5_text_and_binary_frames_hold_json_or_a_plain_prompt(tmp_path: Path) -> None:
    async with running(tmp_path) as replica, connected(replica) as socket:
        for payload, opcode in (
            ("plain words", TEXT),
            (b"plain words", BINARY),
            (b'{"prompt": "plain words"}', BINARY),
        ):
            socket.send(payload, opcode)
            assert await socket.until_eos() == ["plain", "plain words"]


async def test_5_an_absent_use_stream_chat_streams_and_false_sends_one_frame(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": "a b c"}) as replica, connected(replica) as socket:
        socket.send({"prompt": "Q"})
        assert await socket.until_eos() == ["a", "a b", "a b c"]
        for value in (False, "False", "0"):
            socket.send({"prompt": "Q", "use_stream_chat": value})
            assert await socket.until_eos() == ["a b c"]


async def test_5_delta_mode_sends_pieces(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": "a b c"}, wire={"stream_mode": "delta"}) as replica:
        async with connected(replica) as socket:
            socket.send({"prompt": "Q"})
            assert await socket.until_eos() == ["a", " b", " c"]


async def test_5_the_server_remembers_the_dialogue_until_a_history_replaces_it(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": "ok"}, template={"context": 64}) as replica:
        async with connected(replica) as socket:

            async def prompt_tokens(request: dict[str, Any]) -> int:
                before = _prompt_tokens(replica)
                socket.send(request)
                await socket.until_eos()
                return _prompt_tokens(replica) - before

            assert await prompt_tokens({"prompt": "one"}) == 2
            assert await prompt_tokens({"prompt": "two"}) == 6  # with the first question and its answer
            assert await prompt_tokens({"prompt": "three", "system_prompt": "be brief"}) == 13
            assert await prompt_tokens({"prompt": "four"}) == 17  # the system prompt stays
            assert await prompt_tokens({"prompt": "five", "history": [], "system_prompt": ""}) == 2
            assert await prompt_tokens({"prompt": "six"}) == 6
        async with connected(replica) as socket:
            assert await prompt_tokens({"prompt": "new"}) == 2


def _prompt_tokens(replica: Running) -> int:
    text = replica.replica.metrics.text(replica.replica.load()).decode()
    return int(float(text.split('inferform_prompt_tokens_total{service="demo"} ')[1].split("\n")[0]))


@pytest.mark.parametrize(
    ("request_", "part"),
    [
        ("{", None),
        ("", "empty"),
        ({"prompt": 5}, "prompt"),
        ({"prompt": "a " * 20}, "context of this model is 16"),
        (b"\xff", "UTF-8"),
    ],
)
async def test_5_a_bad_request_gets_one_frame_and_eos_and_the_socket_stays_open(
    tmp_path: Path, request_: Any, part: str | None
) -> None:
    async with running(tmp_path, template={"context": 16}) as replica, connected(replica) as socket:
        socket.send(request_, BINARY)
        (text,) = await socket.until_eos()
        assert text == "{" if part is None else part in text  # "{" is no JSON, so it is a prompt
        socket.send({"prompt": "still here"})
        assert (await socket.until_eos())[-1] == "still here"


async def test_5_an_engine_that_breaks_is_told_and_the_turn_is_not_remembered(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": "a b", "failAfterTokens": 1}) as replica, connected(replica) as socket:
        socket.send({"prompt": "Q"})
        assert await socket.until_eos() == ["a", "asked to fail after 1 tokens"]


async def test_5_a_1_0_client_may_send_input_ids(tmp_path: Path) -> None:
    async with running(tmp_path) as replica, connected(replica) as socket:
        socket.send({"input_ids": "one two", "max_length": 1, "repetition_penalty": 1.1, "num_beams": 1})
        assert await socket.until_eos() == ["one"]


async def test_5_pings_are_answered_while_generating(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": "a b", "tokensPerSecond": 0.02}) as replica:
        async with connected(replica) as socket:
            socket.send({"prompt": "Q"})
            assert await socket.frame() == (TEXT, b"a")
            socket.send(b"tick", PING)
            async with asyncio.timeout(5):
                assert await socket.frame() == (PONG, b"tick")


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
async def test_5_a_close_is_echoed_with_its_code_even_in_mid_answer(tmp_path: Path, code: int) -> None:
    async with running(tmp_path, {"text": "a b", "tokensPerSecond": 0.02}) as replica:
        async with connected(replica) as socket:
            socket.send({"prompt": "Q"})
            await socket.frame()
            socket.send(code.to_bytes(2, "big"), CLOSE)
            assert await socket.frame() == (CLOSE, code.to_bytes(2, "big"))
            assert await socket.reader.read() == b""
        await until(lambda: replica.replica.load().running == 0)


async def test_5_a_client_that_vanishes_in_mid_answer_frees_its_place(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": "a b", "tokensPerSecond": 0.02}) as replica:
        async with connected(replica) as socket:
            socket.send({"prompt": "Q"})
            await socket.frame()
        async with asyncio.timeout(5):
            await replica.replica.idle.wait()
        assert replica.replica.load().running == 0


async def test_5_the_upgrade_needs_a_token_in_any_of_its_forms(tmp_path: Path) -> None:
    offered = base64.urlsafe_b64encode(TOKEN.encode()).decode().rstrip("=")
    async with running(tmp_path, {"text": "x"}) as replica:
        for headers in (
            {"Authorization": "no"},
            {"Authorization": ""},
            {"Authorization": "", "Sec_WebSocket_Protocol": "inferform.chat"},
        ):
            reader, writer = await replica.connect()
            writer.write(handshake(**headers))
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 401")
            writer.close()
            await writer.wait_closed()
        async with connected(replica, Authorization=f"Bearer {TOKEN}") as socket:
            socket.send("Q")
            assert await socket.until_eos() == ["x"]
        reader, writer = await replica.connect()
        writer.write(handshake(Authorization="", Sec_WebSocket_Protocol=f"inferform.chat, inferform.token.{offered}"))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101")
        assert b"Sec-WebSocket-Protocol: inferform.chat\r\n" in head
        assert offered.encode() not in head
        writer.close()
        await writer.wait_closed()


async def test_3_3_the_clock_of_a_request_closes_the_socket_and_an_idle_one_stays(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": "a b", "ttftSeconds": 0.3}, limits={"request_seconds": 0.2}) as replica:
        async with connected(replica) as socket:
            await asyncio.sleep(0.25)  # idle for longer than the limit
            socket.send({"prompt": ""})
            assert await socket.until_eos() == []
            socket.send({"prompt": "Q"})
            opcode, payload = await socket.frame()
            assert (opcode, payload[:2]) == (CLOSE, (1008).to_bytes(2, "big"))


async def test_5_a_draining_replica_answers_what_was_asked_and_goes_away(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": "a b", "tokensPerSecond": 20}) as replica:
        async with connected(replica) as idle, connected(replica) as busy:
            busy.send({"prompt": "Q"})
            assert await busy.frame() == (TEXT, b"a")
            replica.replica.drain()
            assert await busy.until_eos() == ["a b"]
            for socket in (idle, busy):
                opcode, payload = await socket.frame()
                assert (opcode, payload[:2]) == (CLOSE, (1001).to_bytes(2, "big"))
                socket.send((1001).to_bytes(2, "big"), CLOSE)
            async with asyncio.timeout(5):
                await replica.replica.idle.wait()


async def test_5_a_message_over_the_limit_closes_with_1009(tmp_path: Path) -> None:
    async with running(tmp_path, limits={"body_mib": 0.001}) as replica, connected(replica) as socket:
        socket.send("x" * 2000)
        opcode, payload = await socket.frame()
        assert (opcode, payload[:2]) == (CLOSE, (1009).to_bytes(2, "big"))


async def test_5_a_broken_handshake_is_400(tmp_path: Path) -> None:
    async with running(tmp_path) as replica:
        answer = await replica.ask(path=PREFIX, Upgrade="websocket", Connection="Upgrade", Sec_WebSocket_Version="13")
    assert answer.status == 400
