"""A replica's edge: limits, status codes on purpose, internal paths, settings that change, slow and absent clients."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from runtime.contract.phases import Phase
from runtime.contract.replica import ReplicaStatus
from tests.runtime.replica.harness import PREFIX, read_answer, request_bytes, running, until


async def test_3_2_a_full_queue_is_450_queue_full_and_closes(tmp_path: Path) -> None:
    async with running(
        tmp_path, {"text": "a b", "tokensPerSecond": 0.01}, template={"concurrency": 1}, limits={"queue": 1}
    ) as replica:
        held, busy = [], replica.replica.load
        for number in (1, 2):
            _, writer = await replica.connect()
            writer.write(request_bytes("Q"))
            held.append(writer)
            await until(lambda wanted=number: (load := busy()).running + load.queue == wanted)  # type: ignore[misc]
        for stream in (False, True):
            reader, writer = await replica.connect()
            writer.write(request_bytes({"prompt": "Q", "use_stream_chat": stream}))
            answer = await read_answer(reader)
            assert (answer.status, answer.reason) == (450, "Queue Full")
            assert answer.headers["Connection"] == "close"
            assert await reader.read() == b""
            held.append(writer)
        for writer in held:
            writer.close()
            await writer.wait_closed()


async def test_3_2_a_request_that_takes_too_long_is_408_and_closes(tmp_path: Path) -> None:
    async with running(tmp_path, {"ttftSeconds": 60}, limits={"request_seconds": 0.05}) as replica:
        reader, writer = await replica.connect()
        writer.write(request_bytes("Q"))
        answer = await read_answer(reader)
        assert answer.status == 408
        assert answer.json()["code"] == "RequestTimeout"
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        assert replica.replica.load().running == 0


async def test_3_3_the_408_clock_counts_the_time_to_receive_the_body(tmp_path: Path) -> None:
    async with running(tmp_path, limits={"request_seconds": 0.05}) as replica:
        reader, writer = await replica.connect()
        writer.write(request_bytes("Q" * 100)[:-50])
        assert (await read_answer(reader)).status == 408
        writer.close()
        await writer.wait_closed()


async def test_3_3_a_stream_that_takes_too_long_ends_without_the_final_chunk(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": "a b c", "tokensPerSecond": 0.1}, limits={"request_seconds": 0.1}) as replica:
        answer = await replica.ask({"prompt": "Q", "use_stream_chat": True})
        assert answer.status == 200
        assert not answer.complete
        metrics = (await replica.ask(path="/-/metrics", Authorization="")).body.decode()
    assert 'code="408",protocol="chatllm"' in metrics


@pytest.mark.parametrize("announced", [True, False])
async def test_1_8_a_body_over_the_limit_is_413_and_closes(tmp_path: Path, announced: bool) -> None:
    async with running(tmp_path, limits={"body_mib": 0.001}) as replica:
        reader, writer = await replica.connect()
        if announced:
            writer.write(request_bytes("x" * 2000))
        else:
            head = request_bytes(None, method="POST", Transfer_Encoding="chunked")
            writer.write(head + b"7d0\r\n" + b"x" * 2000 + b"\r\n0\r\n\r\n")
        answer = await read_answer(reader)
        assert (answer.status, answer.json()["code"]) == (413, "PayloadTooLarge")
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_a_client_that_waits_for_100_continue_is_told_to_go_on(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": "x"}) as replica:
        reader, writer = await replica.connect()
        writer.write(request_bytes("Q", Expect="100-continue")[:-1])
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"Q")
        answer = await read_answer(reader)
        assert (answer.status, answer.body) == (200, b"x")
        writer.close()
        await writer.wait_closed()


async def test_requests_on_one_connection_are_answered_one_after_the_other(tmp_path: Path) -> None:
    async with running(tmp_path) as replica:
        reader, writer = await replica.connect()
        writer.write(request_bytes("one") + request_bytes("two") + request_bytes("three", Authorization="no"))
        answers = [await read_answer(reader) for _ in range(3)]
        writer.close()
        await writer.wait_closed()
    assert [answer.body for answer in answers[:2]] == [b"one", b"two"]
    assert answers[2].status == 401


async def test_a_reader_that_stops_reading_stops_its_generation_and_not_its_neighbours(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": "word " * 400, "tokens": 4000}) as replica:
        stuck = socket.create_connection((replica.host, replica.port))
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.sendall(request_bytes({"prompt": "Q", "use_stream_chat": True, "max_new_tokens": 4000}))
        answer = await replica.ask({"prompt": "Q", "max_new_tokens": 5})
        assert answer.json()["usage"]["completion_tokens"] == 5
        # The stuck one has produced what fits into buffers and holds its place; leaving frees it.
        assert replica.replica.load().running == 1
        stuck.close()
        async with asyncio.timeout(5):
            await replica.replica.idle.wait()


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET\r\n\r\n",
        b"POST / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_refused_without_a_traceback(tmp_path: Path, raw: bytes) -> None:
    async with running(tmp_path) as replica:
        reader, writer = await replica.connect()
        writer.write(raw)
        async with asyncio.timeout(5):
            everything = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert everything.startswith((b"HTTP/1.0 4", b"HTTP/1.1 4", b"HTTP/1.0 505", b"HTTP/1.1 505"))
    assert b"Traceback" not in everything


async def test_2_settings_change_while_a_replica_runs(tmp_path: Path) -> None:
    async with running(tmp_path) as replica:
        replica.change(tokens=("new", "YWJjZGVmMDEyMw=="))
        assert (await replica.ask("Q", Authorization="new")).status == 200
        assert (await replica.ask("Q")).status == 200
        replica.change(tokens=("new",))
        assert (await replica.ask("Q")).status == 401
        replica.change(auth="none")
        assert (await replica.ask("Q", Authorization="")).status == 200


async def test_2_a_token_that_was_rotated_a_moment_ago_is_found(tmp_path: Path) -> None:
    from tests.runtime.replica.harness import write_settings

    async with running(tmp_path) as replica:
        write_settings(replica.settings_file, tokens=("brand new",))
        assert (await replica.ask("Q", Authorization="brand new")).status == 200


async def test_a_broken_settings_file_keeps_the_last_good_one_and_logs_no_token(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path) as replica:
        replica.settings_file.write_text('{"tokens": ["hush"], "limits": 5}')
        assert (await replica.ask("Q")).status == 200
        assert replica.replica.settings.refresh().tokens == ("YWJjZGVmMDEyMw==",)
    assert "limits" in caplog.text
    assert "hush" not in caplog.text


async def test_internal_paths_need_no_token_and_are_not_reached_through_the_prefix(tmp_path: Path) -> None:
    async with running(tmp_path) as replica:
        status = await replica.ask(path="/-/status", Authorization="")
        ready = await replica.ask(path="/-/ready", Authorization="")
        inside = await replica.ask(path=f"{PREFIX}/-/status")
        nothing = await replica.ask(path="/-/nothing")
    document = ReplicaStatus.from_json(status.body)
    assert (document.phase, document.ready) == (Phase.FIRST_TOKEN, True)
    assert (ready.status, inside.status, nothing.status) == (200, 404, 404)


async def test_a_declared_check_gets_the_status_of_its_path_without_token_and_without_body(tmp_path: Path) -> None:
    paths = ("/health", "/v1/models", "/", "/nowhere", "/documents?x=1")
    probes = {path: {"http_path": path} for path in paths}
    async with running(tmp_path, template={"probes": probes}) as replica:
        found = [await replica.ask(path=f"/-/check{path}", Authorization="") for path in paths]
        undeclared = await replica.ask(path="/-/check/v1/completions", Authorization="")
        posted = await replica.ask("x", path="/-/check/health", Authorization="")
        through_the_prefix = await replica.ask(path=f"{PREFIX}/-/check/health")
        replica.replica.drain()
        draining = await replica.ask(path="/-/check/health", Authorization="")
    assert [(answer.status, answer.body) for answer in found] == [
        *[(200, b"")] * 3,
        (404, b""),
        (200, b""),
    ]
    assert (undeclared.status, posted.status, through_the_prefix.status, draining.status) == (404, 405, 404, 503)


async def test_a_first_answer_makes_the_replica_ready(tmp_path: Path) -> None:
    async with running(tmp_path) as replica:
        await replica.ask("Q")
        assert replica.replica.phase is Phase.READY


async def test_a_draining_replica_takes_no_new_work(tmp_path: Path) -> None:
    async with running(tmp_path) as replica:
        replica.replica.drain()
        assert (await replica.ask("Q")).status == 503
        ready = await replica.ask(path="/-/ready", Authorization="")
        status = ReplicaStatus.from_json((await replica.ask(path="/-/status", Authorization="")).body)
    assert ready.status == 503
    assert (status.phase, status.ready) == (Phase.DRAINING, False)


async def test_metrics_tell_what_was_asked(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": "a b"}) as replica:
        await replica.ask({"prompt": "one two"})
        await replica.ask("Q", Authorization="wrong")
        text = (await replica.ask(path="/-/metrics", Authorization="")).body.decode()
    for line in (
        'inferform_requests_total{code="200",protocol="chatllm",service="demo"} 1.0',
        'inferform_requests_total{code="401",protocol="other",service="demo"} 1.0',
        'inferform_prompt_tokens_total{service="demo"} 3.0',
        'inferform_completion_tokens_total{service="demo"} 3.0',
        'inferform_ttft_seconds_count{service="demo"} 1.0',
        'inferform_inter_token_seconds_count{service="demo"} 2.0',
        'inferform_queue_length{service="demo"} 0.0',
    ):
        assert line in text
