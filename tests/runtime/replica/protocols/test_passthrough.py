"""Section 8 on method vllm: vLLM's own bytes pass in both directions, and their tokens are counted on the way.

Every promise holds on both ways: through the door, and on a connection that aiohttp's server has taken over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from runtime.replica import app
from runtime.replica.door import Gate
from runtime.replica.http_server import Server
from tests.runtime.replica.fake_vllm import DONE, EVENTS, REFUSED, serving
from tests.runtime.replica.harness import PREFIX, TOKEN, Running, read_answer, request_bytes, until

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@pytest.fixture(params=["door", "aiohttp"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_door(handle: Handle, door: Gate | None) -> Server:
        return Server(handle, None)

    if request.param == "aiohttp":
        monkeypatch.setattr(app, "Server", without_door)


async def metric(replica: Running, name: str) -> float:
    text = (await replica.ask(path="/-/metrics", Authorization="")).body.decode()
    return next(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name + "{"))


async def test_8_bytes_pass_unchanged_in_both_directions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path, monkeypatch) as (replica, vllm):
        sent = b'{ "prompt" : "hi",  "stream": true }'
        answer = await replica.ask(sent, path=f"{PREFIX}/v1/completions?a=%20b", X_Own="too")
    assert (answer.status, answer.body) == (200, b"".join(EVENTS) + DONE)
    assert (answer.headers["X-Own"], answer.headers["Content-Type"]) == ("kept", "text/event-stream")
    [(method, path, headers, body)] = vllm.asked
    assert (method, path, body) == ("POST", "/v1/completions?a=%20b", sent)
    assert headers["X-Own"] == "too"
    assert TOKEN not in str(headers), "the service's token is not vLLM's business"


@pytest.mark.parametrize("form", [TOKEN, f"Bearer {TOKEN}"])
async def test_8_raw_and_bearer_tokens_both_reach_vllm_and_a_wrong_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    async with serving(tmp_path, monkeypatch) as (replica, vllm):
        path = f"{PREFIX}/v1/completions"
        assert (await replica.ask({"prompt": "q"}, path=path, Authorization=form)).status == 200
        assert (await replica.ask({"prompt": "q"}, path=path, Authorization=form[:-1])).status == 401
        assert len(vllm.asked) == 1


async def test_8_an_error_of_the_engine_is_passed_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path, monkeypatch) as (replica, _):
        answer = await replica.ask({"model": "x"}, path=f"{PREFIX}/v1/chat/completions")
        assert await metric(replica, "inferform_completion_tokens_total") == 0
    assert (answer.status, answer.body) == (404, REFUSED)


@pytest.mark.parametrize(
    ("path", "body", "prompt", "completion"),
    [
        ("/v1/completions", {"prompt": "q"}, 3, 2),
        ("/v1/completions", {"stream": True}, 0, 2),
        ("/v1/chat/completions", {"stream": True}, 0, 1),
        ("/v1/chat/completions", {"stream": True, "stream_options": {"include_usage": True}}, 4, 5),
    ],
)
async def test_tokens_that_pass_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, body: dict[str, Any], prompt: int, completion: int
) -> None:
    async with serving(tmp_path, monkeypatch) as (replica, _):
        assert (await replica.ask(body, path=PREFIX + path)).status == 200
        assert await metric(replica, "inferform_prompt_tokens_total") == prompt
        assert await metric(replica, "inferform_completion_tokens_total") == completion
        streamed = 1 if body.get("stream") else 0
        assert await metric(replica, "inferform_ttft_seconds_count") == streamed


async def test_a_client_that_leaves_is_noticed_by_vllm_and_its_tokens_still_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path, monkeypatch) as (replica, vllm):
        reader, writer = await replica.connect()
        writer.write(request_bytes({"prompt": "endless", "stream": True}, path=f"{PREFIX}/v1/completions"))
        await reader.readuntil(EVENTS[1])
        writer.close()
        async with asyncio.timeout(5):
            await vllm.left.wait()
            await replica.replica.idle.wait()
        assert await metric(replica, "inferform_completion_tokens_total") >= 2


async def test_3_2_a_broken_stream_never_looks_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path, monkeypatch) as (replica, _):
        answer = await replica.ask({"prompt": "breaks", "stream": True}, path=f"{PREFIX}/v1/completions")
        assert not answer.complete
        await until(lambda: not replica.replica.in_flight)


async def test_3_3_more_than_the_queue_takes_is_450(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path, monkeypatch) as (replica, vllm):
        vllm.queue = 64
        answer = await replica.ask({"prompt": "q"}, path=f"{PREFIX}/v1/completions")
        assert (answer.status, answer.reason) == (450, "Queue Full")
        assert (await replica.ask(path=f"{PREFIX}/v1/models")).status == 200, "asking what there is never waits"


async def test_a_reader_that_stops_reading_stops_vllm_and_is_served_on_when_it_reads_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path, monkeypatch) as (replica, vllm):
        reader, writer = await replica.connect()
        writer.write(request_bytes({"prompt": "flood", "stream": True}, path=f"{PREFIX}/v1/completions"))
        seen = -1
        while seen != vllm.flooded:  # until nothing moves any more
            seen = vllm.flooded
            await asyncio.sleep(0.2)
        await reader.readexactly(seen * 1000 * len(EVENTS[0]) // 2)
        await until(lambda: vllm.flooded > seen)
        writer.close()
        async with asyncio.timeout(5):
            await vllm.left.wait()
            await replica.replica.idle.wait()


async def test_connections_are_kept_on_both_sides_and_one_that_vllm_closed_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path, monkeypatch) as (replica, vllm):
        reader, writer = await replica.connect()
        made = []
        connect = vllm.pool.connect

        async def counted(*, fresh: bool = False) -> Any:
            made.append(await connect(fresh=fresh))
            return made[-1]

        monkeypatch.setattr(vllm.pool, "connect", counted)
        asked = request_bytes({"prompt": "q"}, path=f"{PREFIX}/v1/completions")
        for _ in range(3):
            writer.write(asked)
            assert (await read_answer(reader)).status == 200
        assert len(made) == 1
        vllm.closes = True  # reads the next request of the kept connection, and closes it
        writer.write(asked)
        assert (await read_answer(reader)).status == 200
        assert len(made) == 2
        writer.close()
        await writer.wait_closed()


async def test_http_1_0_is_told_that_it_is_not_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path, monkeypatch) as (replica, _):
        reader, writer = await replica.connect()
        asked = request_bytes({"prompt": "q"}, path=f"{PREFIX}/v1/completions")
        writer.write(asked.replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert (await read_answer(reader)).status == 505
        writer.close()
        await writer.wait_closed()
