"""Sections 4.1-4.6 of eas-protocols.md, byte for byte, against the running application."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.replica.harness import PREFIX, TOKEN, request_bytes, running, until

CAPITAL = "The capital of Canada is Ottawa."
HISTORY = [["Can you tell me what's the capital of France?", "The capital of France is Paris."]]


@pytest.mark.parametrize(
    "content_type", ["", "application/x-www-form-urlencoded", "application/octet-stream", "text/plain"]
)
async def test_4_2_text_is_answered_with_the_bare_text(tmp_path: Path, content_type: str) -> None:
    async with running(tmp_path, {"text": CAPITAL}) as replica:
        answer = await replica.ask("  What is the capital of Canada?\n", Content_Type=content_type)
    assert (answer.status, answer.body) == (200, CAPITAL.encode())
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Inferform-Version"] == "0123456789"


@pytest.mark.parametrize("body", ["[1, 2]", "42", '"quoted"', "null", '{"prompt": broken', "カナダの首都"])
async def test_4_1_what_is_no_json_object_is_a_prompt(tmp_path: Path, body: str) -> None:
    async with running(tmp_path) as replica:
        answer = await replica.ask(body, Content_Type="application/x-www-form-urlencoded")
    assert (answer.status, answer.body.decode()) == (200, body)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/x-www-form-urlencoded;charset=utf-8",
        "text/event-stream",
        "",
        "application/octet-stream",
    ],
)
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
async def test_4_1_a_json_object_is_a_structured_request_under_any_label(
    tmp_path: Path, content_type: str, bom: bytes
) -> None:
    async with running(tmp_path, {"text": CAPITAL}) as replica:
        answer = await replica.ask(bom + b' {"prompt": "Q"} ', Content_Type=content_type)
    assert answer.status == 200
    assert answer.json()["response"] == CAPITAL


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", ""),
        (b" \n", "text/plain"),
        (b"", "application/json"),
        (b"{", "application/json"),
        (b"hi", "Application/JSON; charset=utf-8"),
        (b"\xff\xfe", ""),
    ],
)
async def test_4_1_empty_mislabelled_or_undecodable_is_400(tmp_path: Path, body: bytes, content_type: str) -> None:
    async with running(tmp_path) as replica:
        answer = await replica.ask(body, Content_Type=content_type)
    assert answer.status == 400
    assert answer.json()["code"] == "BadRequest"
    assert answer.json()["message"]


async def test_4_4_the_reply_holds_response_history_and_usage(tmp_path: Path) -> None:
    request = {
        "max_new_tokens": 4096, "use_stream_chat": False, "prompt": "What is the capital of Canada?",
        "system_prompt": "Act like you are a knowledgeable assistant", "history": HISTORY,
        "temperature": 0.8, "top_k": 10, "top_p": 0.8, "do_sample": True, "use_cache": True,
    }  # fmt: skip
    async with running(tmp_path, {"text": CAPITAL}) as replica:
        answer = await replica.ask(request)
    assert answer.headers["Content-Type"] == "application/json"
    reply = answer.json()
    assert reply["response"] == CAPITAL
    assert reply["history"] == [*HISTORY, ["What is the capital of Canada?", CAPITAL]]
    assert reply["usage"]["total_tokens"] == reply["usage"]["prompt_tokens"] + reply["usage"]["completion_tokens"]
    assert reply["usage"]["completion_tokens"] == 7  # six words and the end token


@pytest.mark.parametrize("extra", [{}, {"Connection": "close"}])
async def test_4_5_the_bytes_of_a_stream_are_those_of_the_protocol(tmp_path: Path, extra: dict[str, str]) -> None:
    async with running(tmp_path, {"text": "Ott awa"}) as replica:
        reader, writer = await replica.connect()
        writer.write(request_bytes({"prompt": "Q", "use_stream_chat": True, "max_new_tokens": 9}, **extra))
        head = await reader.readuntil(b"\r\n\r\n")
        first = b'2f\r\n{"response": "Ott", "history": [["Q", "Ott"]]}\x00\r\n'
        second = b'37\r\n{"response": "Ott awa", "history": [["Q", "Ott awa"]]}\x00\r\n'
        assert await reader.readexactly(len(first)) == first
        assert await reader.readexactly(len(second)) == second
        rest = await reader.readuntil(b"\r\n0\r\n\r\n")
        writer.close()
        await writer.wait_closed()
    assert b"Transfer-Encoding: chunked" in head
    assert b"Content-Type: text/plain; charset=utf-8" in head
    assert b"Cache-Control: no-cache" in head
    assert b"X-Accel-Buffering: no" in head
    last = json.loads(rest.split(b"\r\n")[1].removesuffix(b"\0"))
    assert last["usage"] == {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
    assert (last["response"], last["history"]) == ("Ott awa", [["Q", "Ott awa"]])


async def test_4_5_each_record_is_one_chunk_and_only_the_last_has_usage(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": CAPITAL}) as replica:
        answer = await replica.ask({"prompt": "Q", "use_stream_chat": True, "history": HISTORY})
    assert all(chunk.endswith(b"\0") and chunk.count(b"\0") == 1 for chunk in answer.chunks)
    records = answer.records()
    assert len(records) == len(answer.chunks) == 7
    assert [("usage" in record) for record in records] == [False] * 6 + [True]
    for record in records:
        assert record["history"] == [*HISTORY, ["Q", record["response"]]]
    assert records[0]["response"] == "The"
    assert records[-1]["response"] == CAPITAL


async def test_4_5_records_leave_when_they_are_made(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": "one two", "tokensPerSecond": 0.05}) as replica:
        reader, writer = await replica.connect()
        writer.write(request_bytes({"prompt": "Q", "use_stream_chat": True}))
        async with asyncio.timeout(5):  # the second token comes after 20 s
            await reader.readuntil(b'{"response": "one", "history": [["Q", "one"]]}\x00\r\n')
        writer.close()
        await writer.wait_closed()


async def test_4_5_delta_mode_sends_pieces_and_keeps_the_history_cumulative(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": "a b c"}, wire={"stream_mode": "delta"}) as replica:
        answer = await replica.ask({"prompt": "Q", "use_stream_chat": True})
    records = answer.records()
    assert [record["response"] for record in records] == ["a", " b", " c", ""]
    assert [record["history"][-1][1] for record in records] == ["a", "a b", "a b c", "a b c"]


async def test_4_5_a_nul_in_the_answer_is_escaped(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": 'nul:\0" \\ \N{GRINNING FACE}'}) as replica:
        answer = await replica.ask({"prompt": 'Q"\\\n', "use_stream_chat": True})
    assert answer.body.count(b"\0") == len(answer.chunks)
    assert answer.records()[-1]["history"] == [['Q"\\\n', 'nul:\0" \\ \N{GRINNING FACE}']]


@pytest.mark.parametrize("value", [True, "True", "true", "1", "TRUE"])
@pytest.mark.parametrize("name", ["use_stream_chat", "use_stream"])
async def test_4_3_string_booleans_switch_streaming_on(tmp_path: Path, name: str, value: Any) -> None:
    async with running(tmp_path, {"text": "a b"}) as replica:
        answer = await replica.ask({"prompt": "Q", name: value})
    assert len(answer.records()) == 3


@pytest.mark.parametrize("value", [False, "False", "false", "0", None, ""])
async def test_4_3_false_null_and_empty_mean_no_stream_over_http(tmp_path: Path, value: Any) -> None:
    async with running(tmp_path, {"text": "a b"}) as replica:
        answer = await replica.ask({"prompt": "Q", "use_stream_chat": value})
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json()["response"] == "a b"


async def test_4_3_use_stream_is_read_only_without_use_stream_chat(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": "a b"}) as replica:
        answer = await replica.ask({"prompt": "Q", "use_stream_chat": "false", "use_stream": True})
    assert answer.json()["response"] == "a b"


async def test_4_3_generation_ends_before_either_kind_of_stop_text(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": "one two three four"}) as replica:
        for fields in (
            {"stop": "wo th"},
            {"stop_sequences": ["wo th", ""]},
            {"stop": ["four"], "stop_sequences": ["wo t"]},
        ):
            answer = await replica.ask({"prompt": "Q", **fields})
            assert answer.json()["response"] == "one t"
            streamed = await replica.ask({"prompt": "Q", "use_stream_chat": True, **fields})
            assert streamed.records()[-1]["response"] == "one t"
            assert all("w" not in record["response"] for record in streamed.records())


async def test_4_3_an_empty_prompt_is_legal(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": CAPITAL}) as replica:
        plain = await replica.ask({"system_prompt": "be brief", "history": HISTORY})
        streamed = await replica.ask({"prompt": "", "history": HISTORY, "use_stream_chat": True})
    assert plain.json() == {"response": "", "history": HISTORY}
    assert streamed.records() == [{"response": "", "history": HISTORY}]


async def test_4_3_inner_empty_lists_of_the_history_are_ignored(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": "x"}) as replica:
        answer = await replica.ask({"prompt": "Q", "history": [[], ["a", "b"], []]})
    assert answer.json()["history"] == [["a", "b"], ["Q", "x"]]


async def test_4_3_a_prompt_beyond_the_context_is_400_with_both_numbers(tmp_path: Path) -> None:
    async with running(tmp_path, template={"context": 8}) as replica:
        answer = await replica.ask({"prompt": "a b c d e f g h", "use_stream_chat": True})
        fits = await replica.ask({"prompt": "a b c d e", "max_new_tokens": 4096})
    assert answer.status == 400
    assert answer.json() == {
        "code": "BadRequest",
        "message": "the prompt has 9 tokens, the context of this model is 8 tokens",
    }
    assert fits.json()["usage"] == {"prompt_tokens": 6, "completion_tokens": 2, "total_tokens": 8}


@pytest.mark.parametrize("stream", [False, True])
async def test_4_6_a_version_1_request_gets_bare_text(tmp_path: Path, stream: bool) -> None:
    async with running(tmp_path, {"text": CAPITAL}) as replica:
        answer = await replica.ask({"input_ids": "Q", "max_length": 3, "num_beams": 1, "use_stream_chat": stream})
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.body == b"The capital of"


async def test_4_6_version_1_replies_may_be_json_strings_and_prompt_wins(tmp_path: Path) -> None:
    async with running(tmp_path, wire={"v1_reply": "json_string"}) as replica:
        old = await replica.ask({"input_ids": "say 42"})
        both = await replica.ask({"input_ids": "no", "prompt": "yes"})
    assert old.json() == "say 42"
    assert both.json()["response"] == "yes"


async def test_3_2_an_unknown_path_is_404_and_a_wrong_method_405(tmp_path: Path) -> None:
    async with running(tmp_path) as replica:
        for path in ("/nope", f"{PREFIX}/nope", "/api/predict/other", f"{PREFIX}2"):
            answer = await replica.ask("x", path=path)
            assert (answer.status, answer.body) == (404, b'{"detail":"Not Found"}')
        wrong = await replica.ask("x", method="PUT")
    assert wrong.status == 405
    assert wrong.headers["Allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize("path", ["/", PREFIX, f"{PREFIX}/", f"{PREFIX}?a=b"])
async def test_1_6_a_direct_client_may_keep_the_prefix(tmp_path: Path, path: str) -> None:
    async with running(tmp_path, {"text": "x"}) as replica:
        assert (await replica.ask("Q", path=path)).body == b"x"
        assert (await replica.ask(path=path, Authorization="")).json()["status"] == "ready"


async def test_3_1_get_and_head_of_the_root_need_no_token(tmp_path: Path) -> None:
    async with running(tmp_path) as replica:
        got = await replica.ask(path=PREFIX, Authorization="")
        head = await replica.ask(path=PREFIX, method="HEAD", Authorization="")
    assert got.status == head.status == 200
    assert got.body
    assert head.headers["Content-Length"] == str(len(got.body))


async def test_3_1_a_replica_that_is_not_ready_says_so_in_19_bytes(tmp_path: Path) -> None:
    async with running(tmp_path, start=False) as replica:
        root = await replica.ask(path=PREFIX, Authorization="")
        refused = await replica.ask("Q", Authorization="")
        waits = await replica.ask("Q")
    assert refused.status == 401
    for answer in (root, waits):
        assert (answer.status, answer.body) == (503, b"no healthy upstream")
        assert answer.headers["Content-Type"].startswith("text/plain")


async def test_4_5_an_engine_that_breaks_before_the_first_token_is_500(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": "a b", "failAfterTokens": 0}) as replica:
        for stream in (False, True):
            answer = await replica.ask({"prompt": "Q", "use_stream_chat": stream})
            assert answer.status == 500
            assert answer.json() == {"code": "InternalError", "message": "asked to fail after 0 tokens"}


async def test_4_5_an_error_after_the_first_byte_closes_without_the_final_chunk(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": "a b c", "failAfterTokens": 2}) as replica:
        answer = await replica.ask({"prompt": "Q", "use_stream_chat": True})
    assert answer.status == 200
    assert not answer.complete
    assert [record["response"] for record in answer.records()] == ["a", "a b"]


async def test_3_2_a_client_that_leaves_frees_its_place_at_once(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": "a b", "tokensPerSecond": 0.02}) as replica:
        for stream in (False, True):
            _, writer = await replica.connect()
            writer.write(request_bytes({"prompt": "Q", "use_stream_chat": stream}))
            await until(lambda: replica.replica.load().running == 1)
            writer.close()
            await writer.wait_closed()
            async with asyncio.timeout(5):
                await replica.replica.idle.wait()
            assert replica.replica.load().running == 0
        metrics = (await replica.ask(path="/-/metrics", Authorization="")).body.decode()
    assert 'inferform_requests_total{code="499",protocol="chatllm",service="demo"} 2.0' in metrics


async def test_4_5_http_1_0_clients_get_the_stream_until_the_connection_closes(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": "a b"}) as replica:
        reader, writer = await replica.connect()
        writer.write(request_bytes({"prompt": "Q", "use_stream_chat": True}).replace(b"HTTP/1.1", b"HTTP/1.0"))
        everything = await reader.read()
        writer.close()
        await writer.wait_closed()
    head, _, body = everything.partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert body.count(b"\0") == 3


async def test_2_the_signed_form_is_checked_on_the_original_path_of_a_direct_call(tmp_path: Path) -> None:
    from runtime.auth import sign

    date, body = "Mon, 02 Jun 2025 08:00:00 GMT", b"What is the capital of Canada?"
    content_type = "application/octet-stream"
    signature = sign(TOKEN, method="POST", body=body, content_type=content_type, date=date, resource=PREFIX)
    async with running(tmp_path, {"text": CAPITAL}) as replica:
        good = await replica.ask(body, Authorization=f"EAS {signature}", Date=date, Content_Type=content_type)
        wrong = await replica.ask(body + b"!", Authorization=f"EAS {signature}", Date=date, Content_Type=content_type)
    assert (good.status, wrong.status) == (200, 401)
    assert wrong.json() == {"code": "Unauthorized", "message": "Invalid token"}
