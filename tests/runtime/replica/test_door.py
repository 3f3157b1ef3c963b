"""The short way: plain requests are passed on before aiohttp sees them, and everything else still gets its answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from runtime.gateway.heads import ResponseHead
from runtime.replica.app import App
from runtime.replica.door import BODY_BYTES
from runtime.replica.engines.base import Load
from runtime.replica.passage import Passage
from tests.runtime.replica.fake_vllm import DONE, EVENTS, FakeVllm, serving
from tests.runtime.replica.harness import PREFIX, Running, read_answer, request_bytes, until

COMPLETIONS = f"{PREFIX}/v1/completions"
PLAIN = request_bytes({"prompt": "q"}, path=COMPLETIONS)
STREAM = request_bytes({"prompt": "q", "stream": True}, path=COMPLETIONS)


@pytest.fixture
def handled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Targets of the requests that went to aiohttp's server."""
    seen: list[str] = []
    handle = App.handle

    async def watched(self: App, request: web.BaseRequest) -> web.StreamResponse:
        seen.append(request.raw_path)
        return await handle(self, request)

    monkeypatch.setattr(App, "handle", watched)
    return seen


async def statuses(replica: Running, *requests: bytes) -> list[int]:
    """The answers' statuses to requests on one connection, one after the other."""
    reader, writer = await replica.connect()
    found = []
    for request in requests:
        writer.write(request)
        found.append((await read_answer(reader)).status)
    writer.close()
    await writer.wait_closed()
    return found


async def requests_counted(replica: Running, code: int) -> float:
    text = (await replica.ask(path="/-/metrics", Authorization="")).body.decode()
    wanted = f'code="{code}",protocol="openai"'
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if wanted in line and "_total" in line)


async def test_plain_requests_are_passed_on_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handled: list[str]
) -> None:
    async with serving(tmp_path, monkeypatch) as (replica, vllm):
        models = request_bytes(path=f"{PREFIX}/v1/models")
        assert await statuses(replica, PLAIN, STREAM, models, PLAIN) == [200, 200, 200, 200]
        assert handled == []
        assert [path for _, path, _, _ in vllm.asked] == [
            "/v1/completions",
            "/v1/completions",
            "/v1/models",
            "/v1/completions",
        ]
        assert await requests_counted(replica, 200) == 4


async def test_an_answer_says_who_gave_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path, monkeypatch) as (replica, _):
        answer = await replica.ask({"prompt": "q"}, path=COMPLETIONS, X_Request_Id="mine")
    assert answer.headers["X-Inferform-Version"] == "0123456789"
    assert answer.headers["X-Inferform-Replica"] == "demo-0123456789-0"
    assert answer.headers["X-Request-Id"] == "mine"
    assert answer.headers.getall("Server") == ["inferform"]


async def test_requests_that_come_at_once_are_answered_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handled: list[str]
) -> None:
    async with serving(tmp_path, monkeypatch) as (replica, _):
        reader, writer = await replica.connect()
        writer.write(STREAM + PLAIN + STREAM)
        bodies = [(await read_answer(reader)).body for _ in range(3)]
        assert [body.endswith(DONE) for body in bodies] == [True, False, True]
        assert handled == []
        writer.close()
        await writer.wait_closed()


async def test_a_body_that_comes_in_pieces_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handled: list[str]
) -> None:
    async with serving(tmp_path, monkeypatch) as (replica, vllm):
        reader, writer = await replica.connect()
        writer.write(PLAIN[:-5])
        await writer.drain()
        await asyncio.sleep(0.02)
        assert vllm.asked == []
        writer.write(PLAIN[-5:])
        assert (await read_answer(reader)).status == 200
        assert handled == []
        writer.close()
        await writer.wait_closed()


CHUNKED = PLAIN.replace(b"Content-Length: 15", b"Transfer-Encoding: chunked").replace(
    b'{"prompt": "q"}', b'f\r\n{"prompt": "q"}\r\n0\r\n\r\n'
)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (CHUNKED, 200),
        (request_bytes({"prompt": "x" * BODY_BYTES}, path=COMPLETIONS), 200),
        (request_bytes({"prompt": "q"}, path=COMPLETIONS, Authorization="wrong"), 401),
        (request_bytes({"prompt": "q"}, path=f"{PREFIX}/v2/completions"), 404),
        (request_bytes({"prompt": "q"}, path=COMPLETIONS, method="PUT"), 405),
        (request_bytes(path=f"{PREFIX}/v1/models", method="DELETE"), 405),
        (request_bytes(path=PREFIX, Authorization=""), 200),
        (request_bytes(path="/-/status", Authorization=""), 200),
    ],
)
async def test_any_other_request_takes_its_connection_to_aiohttp_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handled: list[str], request_: bytes, status: int
) -> None:
    async with serving(tmp_path, monkeypatch) as (replica, _):
        assert await statuses(replica, PLAIN, request_, PLAIN) == [200, status, 200]
        assert len(handled) == 2, "the other one, and what came after it"


async def test_what_is_no_http_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path, monkeypatch) as (replica, _):
        assert await statuses(replica, PLAIN, b"POST  / HTTP/1.1\r\nbad header\r\n\r\n") == [200, 400]


async def test_a_body_over_the_services_limit_is_413(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path, monkeypatch, limits={"body_mib": 0.001}) as (replica, vllm):
        answer = await replica.ask({"prompt": "x" * 2000}, path=COMPLETIONS)
        assert answer.status == 413
        assert vllm.asked == []


async def test_a_replica_that_drains_takes_nothing_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path, monkeypatch) as (replica, vllm):
        reader, writer = await replica.connect()
        writer.write(PLAIN)
        assert (await read_answer(reader)).status == 200
        replica.replica.drain()
        writer.write(PLAIN)
        assert (await read_answer(reader)).status == 503
        assert len(vllm.asked) == 1
        writer.close()
        await writer.wait_closed()


async def test_3_3_an_answer_that_takes_too_long_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path, monkeypatch, limits={"request_seconds": 0.2}) as (replica, _):
        late = await replica.ask({"prompt": "endless", "stream": True}, path=COMPLETIONS)
        assert late.status == 200
        assert not late.complete, "a part is never taken for the whole"
        assert await requests_counted(replica, 408) == 1


async def test_3_3_a_request_that_is_late_before_its_answer_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(self: FakeVllm, request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(FakeVllm, "answer", never)
    async with serving(tmp_path, monkeypatch, limits={"request_seconds": 0.1}) as (replica, _):
        late = await replica.ask({"prompt": "q"}, path=COMPLETIONS)
        assert late.status == 408
        assert b"longer than 0.1 s" in late.body
        assert late.headers["Connection"] == "close"


async def test_a_server_that_breaks_off_before_its_answer_is_502(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path, monkeypatch) as (replica, vllm):
        vllm.closes = True
        reader, writer = await replica.connect()
        for status in (502, 200):
            writer.write(PLAIN)
            assert (await read_answer(reader)).status == status
        writer.close()
        await writer.wait_closed()


async def test_a_defect_is_500_without_its_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self: Passage) -> ResponseHead:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(Passage, "head", broken)
    async with serving(tmp_path, monkeypatch) as (replica, _):
        answer = await replica.ask({"prompt": "q"}, path=COMPLETIONS)
        assert (answer.status, b"secret" in answer.body) == (500, False)
        assert replica.replica.in_flight == 0


async def test_a_client_that_leaves_is_counted_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path, monkeypatch) as (replica, vllm):
        reader, writer = await replica.connect()
        writer.write(request_bytes({"prompt": "endless", "stream": True}, path=COMPLETIONS))
        await reader.readuntil(EVENTS[1])
        writer.close()
        async with asyncio.timeout(5):
            await vllm.left.wait()
        await until(lambda: not replica.replica.in_flight)
        assert await requests_counted(replica, 499) == 1


async def test_an_idle_connection_is_closed_with_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path, monkeypatch) as (replica, _):
        reader, writer = await replica.connect()
        writer.write(PLAIN)
        assert (await read_answer(reader)).status == 200
    assert await reader.read() == b""
    writer.close()


LARGE = b'{"choices":[{"text":"' + b"a" * 4_000_000 + b'"}]}'


async def large(self: FakeVllm, request: web.Request) -> web.StreamResponse:
    await request.read()
    return web.Response(body=LARGE)


async def test_a_slow_reader_gets_the_whole_answer_that_closes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.replica.door.ABORT_SECONDS", 0.05)
    monkeypatch.setattr(FakeVllm, "answer", large)
    async with serving(tmp_path, monkeypatch) as (replica, _):
        reader, writer = await replica.connect()
        writer.write(request_bytes({"prompt": "q"}, path=COMPLETIONS, Connection="close"))
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.2)
        assert len(await reader.read()) == len(LARGE)
        writer.close()
        await writer.wait_closed()


async def test_a_reader_that_is_behind_stays_behind_when_aiohttp_takes_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeVllm, "answer", large)
    async with serving(tmp_path, monkeypatch) as (replica, _):
        reader, writer = await replica.connect()
        writer.write(PLAIN + CHUNKED + PLAIN)
        for _ in range(3):
            await asyncio.sleep(0.1)
            assert len((await read_answer(reader)).body) == len(LARGE)
        writer.close()
        await writer.wait_closed()


async def test_3_3_requests_that_come_in_one_moment_see_each_other_in_the_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    active = most = 0

    @contextlib.contextmanager
    def busy(self: FakeVllm) -> Iterator[None]:
        nonlocal active, most
        active += 1
        most = max(most, active)
        yield
        active -= 1

    monkeypatch.setattr(FakeVllm, "busy", busy)
    monkeypatch.setattr(FakeVllm, "load", lambda self: Load(queue=max(0, active - 1)))
    async with serving(tmp_path, monkeypatch, limits={"queue": 1}) as (replica, _):
        connections = [await replica.connect() for _ in range(8)]
        for _, writer in connections:
            writer.write(PLAIN)
        found = [(await read_answer(reader)).status for reader, _ in connections]
        for _, writer in connections:
            writer.close()
            await writer.wait_closed()
    assert found.count(200) + found.count(450) == 8
    assert most <= 2, "one place and one in the queue"
    assert active == 0


async def test_a_body_that_takes_its_time_is_waited_for_by_aiohttp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handled: list[str]
) -> None:
    monkeypatch.setattr("runtime.replica.door.BODY_SECONDS", 0.05)
    async with serving(tmp_path, monkeypatch) as (replica, _):
        reader, writer = await replica.connect()
        writer.write(PLAIN[:-5])
        await until(lambda: len(handled) == 1)
        writer.write(PLAIN[-5:])
        assert (await read_answer(reader)).status == 200
        writer.close()
        await writer.wait_closed()
