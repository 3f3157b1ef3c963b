"""Thousands of odd requests, byte by byte: never a 500, never a hang, never a token in an answer or a log."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from pathlib import Path
from typing import Any

import pytest

from runtime.contract.version import Method
from runtime.replica.openapi import METHODS
from tests.protocols.services import INPUTS, SEED
from tests.runtime.replica.harness import PREFIX, TOKEN, Running, read_answer, request_bytes, running
from tests.runtime.replica.protocols.test_websocket import BINARY, CLOSE, EOS, PING, PONG, TEXT, connected

SHARE = 0.18  # of all inputs, for each method; a socket and raw bytes have less
SOCKET_SHARE, RAW_SHARE = 0.14, 0.01
WORD = SEED or "fixed"
FIELDS = {
    "/": [
        "prompt", "system_prompt", "history", "max_new_tokens", "temperature", "top_k", "top_p", "do_sample",
        "use_cache", "use_stream_chat", "use_stream", "langchain", "stop", "stop_sequences", "no_template", "input_ids",
        "repetition_penalty", "max_length", "num_beams",
    ],
    "/v1/chat/completions": [
        "model", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "n", "stream", "tools",
        "stream_options", "stop", "seed", "presence_penalty", "logprobs", "top_logprobs", "response_format",
        "resume_response", "stop_tokens", "guided_json", "ignore_eos",
    ],
    "/v1/completions": [
        "model", "prompt", "max_tokens", "echo", "logprobs", "n", "stream", "stop", "top_k", "suffix", "stop_tokens",
        "repetition_penalty", "stop_sequences", "guided_choice", "top_logprobs",
    ],
}  # fmt: skip
OTHER = [
    "/v1/models",
    "/health",
    "/documents",
    "/documents/x",
    "/uploadfile",
    "/is_ready",
    "/metric",
    "/nope",
    "//",
    "/%00",
]
TYPES = [
    "",
    "application/json",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "\x7f",
]
SCALARS: list[Any] = [
    None, True, False, 0, 1, -1, 2, 7, 10**9, -(10**30), 1e308, -0.0, 0.5, 2.1, "", " ", "true", "False", "1",
    "0", "nan", "inf", "abc", "\0", "\ud7ff", "😀", "a" * 300, [], {}, [[]], [None], {"type": "text"},
    {"include_usage": True},
]  # fmt: skip
MESSAGES = [
    [{"role": "user", "content": "hi"}],
    [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
    [{}],
    [5],
]


def value(rng: random.Random, depth: int = 0) -> Any:
    match rng.randrange(8 if depth < 3 else 5):
        case 5:
            return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
        case 6:
            return {
                rng.choice(["role", "content", "text", "type", "a"]): value(rng, depth + 1)
                for _ in range(rng.randrange(3))
            }
        case 7:
            return rng.choice(MESSAGES)
        case _:
            return rng.choice(SCALARS)


def document(rng: random.Random, fields: list[str]) -> dict[str, Any]:
    chosen = {name: value(rng) for name in rng.sample(fields, rng.randrange(6))}
    # Most are near something that works, or the first check would hide the rest.
    if rng.random() < 0.6:
        chosen.setdefault("prompt", "one two")
        chosen.setdefault("messages", MESSAGES[0])
    return chosen


def body_of(rng: random.Random, fields: list[str]) -> bytes:
    text = json.dumps(document(rng, fields)).encode()
    match rng.randrange(10):
        case 0:
            return rng.randbytes(rng.randrange(60))
        case 1:
            return text[: rng.randrange(len(text) + 1)]
        case 2:
            at = rng.randrange(len(text))
            return text[:at] + rng.randbytes(2) + text[at + 1 :]
        case _:
            return text


@pytest.mark.parametrize("method", METHODS)
async def test_no_request_breaks_a_replica(tmp_path: Path, method: Method, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    rng = random.Random(WORD)
    async with running(tmp_path, {"text": "a b c"}, method=method, template={"context": 64}) as replica:
        connection = await replica.connect()
        for number in range(round(INPUTS * SHARE)):
            path = rng.choice([*FIELDS] * 3 + OTHER)
            verb = rng.choice(["POST"] * 8 + ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "BREW"])
            body = body_of(rng, FIELDS.get(path, FIELDS["/"]))
            authorization = rng.choice([TOKEN] * 9 + ["wrong", "Bearer " + TOKEN, "EAS x", "\xff"])
            sent = request_bytes(
                body, path=PREFIX + path, method=verb, Content_Type=rng.choice(TYPES), Authorization=authorization
            )
            connection = await exchange(replica, connection, sent, verb, f"seed {WORD}, number {number}: {sent!r}")
        connection[1].close()
        await connection[1].wait_closed()
        async with asyncio.timeout(5):
            await replica.replica.idle.wait()
        assert replica.replica.load().running == 0
    assert TOKEN not in caplog.text
    assert "Traceback" not in caplog.text


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def exchange(replica: Running, connection: Connection, sent: bytes, verb: str, which: str) -> Connection:
    """Send one request and judge its answer; the connection to go on with."""
    reader, writer = connection
    writer.write(sent)
    async with asyncio.timeout(10):
        answer = await read_answer(reader, verb)
    assert answer.status < 500 or answer.body == b"Do no support to generate multiple completions.", (which, answer)
    assert answer.complete, which
    assert TOKEN.encode() not in answer.body, which
    assert b"Traceback" not in answer.body, which
    if answer.status == 404 and verb != "HEAD":
        assert answer.body, which  # an empty 404 would mean that the service does not exist (3.1)
    if answer.headers.get("Connection", "").lower() != "close":
        return connection
    writer.close()
    await writer.wait_closed()
    return await replica.connect()


async def test_no_message_breaks_a_socket(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rng = random.Random(WORD)
    async with running(tmp_path, {"text": "a b c"}, template={"context": 64}) as replica, connected(replica) as socket:
        for number in range(round(INPUTS * SOCKET_SHARE)):
            if rng.random() < 0.1:
                socket.send(rng.randbytes(5), PING)
                assert (await socket.frame())[0] == PONG
            body = body_of(rng, FIELDS["/"])
            # A TEXT frame has to be UTF-8 (RFC 6455); other bytes come as BINARY.
            socket.send(body, TEXT if body.isascii() and rng.random() < 0.5 else BINARY)
            async with asyncio.timeout(10):
                while (frame := await socket.frame()) != EOS:
                    assert frame[0] == TEXT, (number, frame, body)
                    assert b"Traceback" not in frame[1] and TOKEN.encode() not in frame[1]
                    assert frame[1] != b"internal error", (number, body)
        socket.send((1000).to_bytes(2, "big"), CLOSE)
        assert await socket.frame() == (CLOSE, (1000).to_bytes(2, "big"))
    assert "unexpectedly" not in caplog.text


async def test_no_raw_bytes_on_a_socket_break_the_replica(tmp_path: Path) -> None:
    rng = random.Random(WORD)
    async with running(tmp_path, {"text": "a b c"}) as replica:
        for _ in range(round(INPUTS * RAW_SHARE)):
            async with connected(replica) as socket:
                socket.writer.write(rng.randbytes(rng.randrange(1, 40)))
                socket.writer.write_eof()
                async with asyncio.timeout(10):
                    await socket.reader.read()
        async with asyncio.timeout(5):
            await replica.replica.idle.wait()
        assert (await replica.ask("Q")).body == b"a b c"
