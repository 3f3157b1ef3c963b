"""The life of a request, against scripted replicas, byte by byte where it matters."""

from __future__ import annotations

import asyncio
import gc
import json

import pytest

from tests.runtime.gateway.conftest import MakeReplica
from tests.runtime.gateway.harness import (
    AUTH,
    TOKEN,
    Connection,
    fronting,
    post,
    silent,
    until,
    view_of,
)


async def test_a_request_reaches_the_replica_with_path_query_and_headers_unchanged(replica: MakeReplica) -> None:
    one = await replica()
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        path = "/api/predict/chat/v1/models?x=%2F&y=%zz&&"
        status, head, body = await front.request("POST", path, b"abc", headers=b"X-Own: a  b\r\nTE: trailers\r\n")
    assert (status, body) == (200, b"a")
    assert b"\r\nX-Inferform-Version: V1" in head
    assert b"Connection: close" in head
    seen = one.heads[0]
    assert seen.startswith(b"POST /api/predict/chat/v1/models?x=%2F&y=%zz&& HTTP/1.1\r\nHost: test\r\n")
    assert b"X-Own: a  b\r\n" in seen
    assert AUTH in seen
    assert b"TE:" not in seen
    assert b"Connection" not in seen


@pytest.mark.parametrize("authorization", [None, "wrong", "Bearer wrong", TOKEN[:-1], TOKEN + "x", "EAS abc", ""])
async def test_a_wrong_token_is_401_and_reaches_no_replica(replica: MakeReplica, authorization: str | None) -> None:
    one = await replica()
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        status, _, body = await front.request(token=authorization, body=b"hi")
    assert status == 401
    assert json.loads(body) == {"code": "Unauthorized", "message": "Invalid token"}
    assert not one.heads


async def test_an_unknown_service_is_an_empty_404() -> None:
    async with fronting(view_of({})) as front:
        status, head, body = await front.request("GET", "/api/predict/nobody")
    assert (status, body) == (404, b"")
    assert b"Content-Length: 0" in head


async def test_the_root_of_a_service_without_a_replica_is_the_exact_503_at_once() -> None:
    async with fronting(view_of({"v1": []})) as front:
        status, head, body = await front.request("GET", "/api/predict/chat", token=None)
        assert (status, body) == (503, b"no healthy upstream")
        assert b"Content-Type: text/plain\r\n" in head
        status, _, body = await front.request("HEAD", "/api/predict/chat/", token=None)
        assert (status, body) == (503, b"")


async def test_a_stream_is_forwarded_byte_for_byte_as_it_comes(replica: MakeReplica) -> None:
    step = asyncio.Event()

    async def streaming(connection: Connection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=1\r\nhello\r\n")
        await step.wait()
        await connection.send(b"1\r\n!\r\n0\r\nX-Sum: 1\r\n\r\n")
        await connection.head()

    one = await replica("a", streaming)
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        reader, writer = await front.connect()
        writer.write(b"POST /api/predict/chat HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n" + AUTH + b"\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"Transfer-Encoding: chunked" in head
        assert await reader.readexactly(14) == b"5;x=1\r\nhello\r\n"
        assert front.in_flight() == 2
        step.set()
        assert await reader.readuntil(b"\r\n\r\n") == b"1\r\n!\r\n0\r\nX-Sum: 1\r\n\r\n"
        writer.write(b"GET /api/predict/other HTTP/1.1\r\nHost: t\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 404 Not Found")
        writer.close()


async def test_the_root_needs_no_token_and_is_answered_by_a_ready_replica(replica: MakeReplica) -> None:
    one = await replica()
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        assert (await front.request("GET", "/api/predict/chat/", token=None))[::2] == (200, b"a")
        reader, writer = await front.connect()
        writer.write(b"HEAD /api/predict/chat HTTP/1.1\r\nHost: t\r\n\r\n")
        assert b"Content-Length: 1\r\n" in await reader.readuntil(b"\r\n\r\n")
        writer.close()


async def test_an_error_of_the_gateway_itself_cuts_the_connection_and_frees_the_place(
    replica: MakeReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> bool:
        raise KeyError("a bug")

    errors: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context["exception"]))
    monkeypatch.setattr("runtime.auth.check", broken)
    one = await replica()
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        with pytest.raises(ConnectionResetError):
            await front.raw(post())
            raise ConnectionResetError
        assert front.gateway.records.by_code == {("chat", 500): 1}
    gc.collect()
    assert [type(error) for error in errors] == [KeyError]


async def test_a_busy_replica_does_not_make_a_ready_service_look_unready(
    replica: MakeReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.gateway.proxy.ROOT_SECONDS", 0.02)
    one = await replica("a", silent)
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        status, _, body = await front.request("GET", "/api/predict/chat", token=None)
    assert (status, json.loads(body)) == (200, {"status": "ready"})


@pytest.mark.parametrize("wanted", [b"v2", b"V2"])
async def test_a_version_is_addressed_by_name_or_hash_past_the_traffic_map(replica: MakeReplica, wanted: bytes) -> None:
    one, two = await replica("a"), await replica("b")
    async with fronting(view_of({"v1": [one.endpoint()], "v2": [two.endpoint()]})) as front:
        for _ in range(3):
            _, head, body = await front.request(headers=b"X-Inferform-Version: %s\r\n" % wanted)
            assert body == b"b"
            assert b"X-Inferform-Version: V2" in head
            assert (await front.request())[2] == b"a"


async def test_an_unknown_version_is_a_404_that_names_the_known_ones(replica: MakeReplica) -> None:
    one = await replica()
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        status, _, body = await front.request(headers=b"X-Inferform-Version: v9\r\n")
    assert status == 404
    assert json.loads(body)["code"] == "VersionNotFound"
    assert "'v9'" in json.loads(body)["message"]
    assert "v1" in json.loads(body)["message"]
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        assert (await front.request("GET", headers=b"X-Inferform-Version: v9\r\n", token=None))[0] == 404


async def test_without_a_route_only_a_named_version_is_served(replica: MakeReplica) -> None:
    one = await replica()
    async with fronting(view_of({"v1": [one.endpoint()]}, routed=False)) as front:
        assert (await front.request(headers=b"X-Inferform-Version: V1\r\n"))[0] == 200
        assert (await front.request())[::2] == (503, b"no healthy upstream")
        assert (await front.request("GET", token=None))[::2] == (503, b"no healthy upstream")
        assert (await front.request(headers=b"X-Inferform-Version: V1\r\n", token="no"))[0] == 401


async def test_a_stopped_service_answers_503_at_once_but_lets_a_rollout_prove_a_version(replica: MakeReplica) -> None:
    one = await replica()
    async with fronting(view_of({"v1": [one.endpoint()]}, stopped=True)) as front:
        status, head, body = await front.request()
        assert (status, body) == (503, b"no healthy upstream")
        assert b"Retry-After: " in head
        assert (await front.request("GET", token=None))[0] == 503
        assert (await front.request(headers=b"X-Inferform-Version: v1\r\n"))[0] == 200


async def test_a_request_is_held_until_a_replica_is_ready(replica: MakeReplica) -> None:
    one = await replica()
    async with fronting(view_of({"v1": [one.endpoint(ready=False)]})) as front:
        held = asyncio.create_task(front.request(body=b"hi"))
        await until(lambda: front.gateway.services["chat"].held)
        assert not one.heads
        front.gateway.apply(view_of({"v1": [one.endpoint()]}, revision=2))
        assert (await held)[::2] == (200, b"a")


async def test_after_hold_seconds_the_answer_is_503_with_retry_after() -> None:
    async with fronting(view_of({"v1": []}, limits={"hold_seconds": 0.02})) as front:
        status, head, body = await front.request()
    assert (status, body) == (503, b"no healthy upstream")
    assert b"Retry-After: 1" in head


async def test_a_draining_replica_gets_nothing_new_and_its_stream_ends_in_peace(replica: MakeReplica) -> None:
    step = asyncio.Event()

    async def slow(connection: Connection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nol")
        await step.wait()
        await connection.send(b"d!")

    old, new = await replica("old", slow), await replica("new")
    async with fronting(view_of({"v1": [old.endpoint()]})) as front:
        running = asyncio.create_task(front.request())
        await until(lambda: old.heads)
        front.gateway.apply(view_of({"v1": [old.endpoint(draining=True), new.endpoint()]}, revision=2))
        assert [(await front.request())[2] for _ in range(3)] == [b"new"] * 3
        front.gateway.apply(view_of({"v1": [new.endpoint()]}, revision=3))
        report = front.gateway.report()
        assert report is not None
        assert report.in_flight["old"] == 1
        step.set()
        assert (await running)[2] == b"old!"
