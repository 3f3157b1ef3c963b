"""The three forms of authorization at the gateway, and what a wrong one may not learn."""

from __future__ import annotations

import asyncio

import pytest

from tests.runtime.gateway.conftest import MakeReplica
from tests.runtime.gateway.harness import (
    HANDSHAKE,
    TOKEN,
    ask,
    echoing_socket,
    fronting,
    until,
    view_of,
)


@pytest.mark.parametrize("authorization", [TOKEN, f"Bearer {TOKEN}", f"bearer {TOKEN}"])
async def test_a_raw_and_a_bearer_token_pass(replica: MakeReplica, authorization: str) -> None:
    one = await replica()
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        assert (await front.request(token=authorization))[0] == 200


@pytest.mark.parametrize("chunked", [False, True])
async def test_the_signed_form_is_checked_on_the_original_path_over_the_whole_body(
    replica: MakeReplica, chunked: bool
) -> None:
    one = await replica()
    body = b"What is the capital of Canada?"
    head = (
        b"POST /api/predict/chatllm_demo?x=1 HTTP/1.1\r\nHost: t\r\nContent-Type: application/octet-stream\r\n"
        b"Date: Mon, 02 Jun 2025 08:00:00 GMT\r\nAuthorization: EAS AckqeSCB+uFimoDQIO9/3GUq//E=\r\n"
    )
    framed = b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Content-Length: %d\r\n\r\n" % len(body)
    parts = [b"4\r\n", body[:4], b"\r\n1A\r\n", body[4:], b"\r\n0\r\n\r\n"] if chunked else [body[:7], body[7:]]
    async with fronting(view_of({"v1": [one.endpoint()]}, service="chatllm_demo")) as front:
        reader, writer = await front.connect()
        writer.write(head + framed)
        for part in parts:
            await asyncio.sleep(0.001)
            writer.write(part)
        assert (await ask(reader, writer, b"")).startswith(b"HTTP/1.1 200")
        writer.write(head + framed + b"".join(parts).replace(b"Canada", b"France"))
        assert (await ask(reader, writer, b"")).startswith(b"HTTP/1.1 401")
        writer.close()
    assert len(one.heads) == 1
    assert b"EAS AckqeSCB" in one.heads[0]


async def test_there_is_only_so_much_room_for_bodies_that_nobody_has_vouched_for(
    replica: MakeReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.gateway.proxy.SIGNED_BYTES", 1000)
    one = await replica()
    signed = b"POST /api/predict/chat HTTP/1.1\r\nHost: t\r\nAuthorization: EAS x\r\nContent-Length: %d\r\n\r\n"
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        _, first = await front.connect()
        first.write(signed % 2000)  # one alone may be as large as the service allows
        await until(lambda: front.gateway.services["chat"].in_flight)
        assert (await front.raw(signed % 500)).startswith(b"HTTP/1.1 429 ")
        first.close()
        await until(lambda: not front.gateway.services["chat"].in_flight)
        reader, writer = await front.connect()
        assert (await ask(reader, writer, signed % 5 + b"hello")).startswith(b"HTTP/1.1 401 ")
        writer.close()


async def test_a_service_may_opt_out_of_tokens(replica: MakeReplica) -> None:
    one = await replica()
    async with fronting(view_of({"v1": [one.endpoint()]}, auth="none")) as front:
        assert (await front.request(token=None))[0] == 200


async def test_401_comes_before_every_other_answer_but_the_root(replica: MakeReplica) -> None:
    one = await replica()
    stopped = view_of({"v1": [one.endpoint()]}, stopped=True, limits={"body_mib": 0.001})
    async with fronting(stopped) as front:
        for path in ("/api/predict/chat", "/api/predict/chat/x", "/api/predict/chat/-/status"):
            assert (await front.request("POST", path, b"x" * 2000, token="no"))[0] == 401
        assert (await front.request("GET", "/api/predict/chat/x", token="no"))[0] == 401
        assert (await front.request("GET", "/api/predict/chat", token="no"))[0] == 503
        assert (await front.request("POST", headers=b"X-Inferform-Version: nope\r\n", token="no"))[0] == 401


async def test_a_browsers_socket_carries_its_token_as_a_sub_protocol(replica: MakeReplica) -> None:
    one = await replica("a", echoing_socket)
    good = b"Sec-WebSocket-Protocol: inferform.chat, inferform.token.WVdKalpHVm1NREV5TXc9PQ\r\n"
    async with fronting(view_of({"v1": [one.endpoint()]})) as front:
        reader, writer = await front.connect()
        writer.write(HANDSHAKE + good + b"\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        writer.close()
        refused = await front.raw(HANDSHAKE + good.replace(b"WVdK", b"AAAA") + b"Connection: close\r\n\r\n")
        assert refused.startswith(b"HTTP/1.1 401")
