"""Section 7 of eas-protocols.md, byte for byte."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from runtime.contract.version import Method
from tests.runtime.replica.harness import PREFIX, TOKEN, Answer, Running, request_bytes, running, until

COMPLETIONS, CHAT = f"{PREFIX}/v1/completions", f"{PREFIX}/v1/chat/completions"
RANGE = "has to be in [-2, 2],"
ASK = {"messages": [{"role": "user", "content": "Q"}]}


@asynccontextmanager
async def blade(folder: Path, engine_args: dict[str, Any] | None = None, **more: Any) -> AsyncIterator[Running]:
    async with running(folder, engine_args, method=Method.BLADELLM, **more) as replica:
        yield replica


def events(answer: Answer) -> list[Any]:
    assert answer.headers["Content-Type"] == "text/event-stream"
    *lines, done, rest = answer.body.decode().split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    # As the documented readers do: `startswith('data')`, then `msg[6:]`.
    assert all(line.startswith("data") and line[5] == " " and line[6] == "{" for line in lines)
    return [json.loads(line[6:]) for line in lines]


@pytest.mark.parametrize("stream", [True, "true", "True"])
async def test_7_3_a_stream_has_one_delta_per_token_and_running_usage(tmp_path: Path, stream: Any) -> None:
    async with blade(tmp_path, {"text": "The capital is Ottawa"}) as replica:
        answer = await replica.ask({"prompt": "Q", "stream": stream}, path=COMPLETIONS)
    chunks = events(answer)
    assert [chunk["choices"][0]["text"] for chunk in chunks] == ["The", " capital", " is", " Ottawa", ""]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == ["", "", "", "", "stop"]
    assert [chunk["usage"]["completion_tokens"] for chunk in chunks] == [1, 2, 3, 4, 5]
    assert all(chunk["usage"]["total_tokens"] == 1 + chunk["usage"]["completion_tokens"] for chunk in chunks)
    assert {chunk["object"] for chunk in chunks} == {"text_completion"}
    assert all(chunk["error_info"] is None and chunk["model"] == "" for chunk in chunks)
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert uuid.UUID(chunks[0]["id"]).version == 4
    assert len(answer.chunks) == len(chunks)  # a flush per token; [DONE] leaves with the last
    first = answer.chunks[0].split(b'"choices"')[1]
    assert first == (
        b':[{"finish_reason":"","index":0,"logprobs":null,"text":"The"}],"object":"text_completion",'
        b'"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2},"error_info":null}\n\n'
    )


async def test_7_3_the_limit_ends_with_text_and_length(tmp_path: Path) -> None:
    async with blade(tmp_path, {"text": "a b c"}) as replica:
        (one,) = events(await replica.ask({"prompt": "Q", "stream": True, "max_tokens": 1}, path=COMPLETIONS))
        whole = (await replica.ask({"prompt": "Q", "max_tokens": 2}, path=COMPLETIONS)).json()
    assert (one["choices"][0]["text"], one["choices"][0]["finish_reason"]) == ("a", "length")
    assert (whole["choices"][0]["text"], whole["choices"][0]["finish_reason"]) == ("a b", "length")


async def test_7_2_sixteen_tokens_are_the_default_on_both_endpoints(tmp_path: Path) -> None:
    async with blade(tmp_path, {"text": "a", "tokens": 100}) as replica:
        for path, request in ((COMPLETIONS, {"prompt": "Q"}), (CHAT, ASK)):
            reply = (await replica.ask(request, path=path)).json()
            assert reply["usage"]["completion_tokens"] == 16
            assert reply["choices"][0]["finish_reason"] == "length"


async def test_7_3_chat_whole_and_streamed(tmp_path: Path) -> None:
    async with blade(tmp_path, {"text": "a b"}) as replica:
        whole = (await replica.ask({**ASK, "model": "lora"}, path=CHAT)).json()
        chunks = events(await replica.ask({**ASK, "stream": True}, path=CHAT))
    assert (whole["object"], whole["model"]) == ("chat.completion", "lora")
    assert whole["choices"][0]["message"] == {"role": "assistant", "content": "a b"}
    assert whole["choices"][0]["finish_reason"] == "stop"
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "content": "a"}, {"content": " b"}, {"content": ""},
    ]  # fmt: skip


async def test_7_2_the_request_id_is_the_callers(tmp_path: Path) -> None:
    async with blade(tmp_path, {"text": "a"}) as replica:
        head = {"X_DashScope_RequestId": "mine-1"}
        whole = (await replica.ask({"prompt": "Q"}, path=COMPLETIONS, **head)).json()
        chunks = events(await replica.ask({"prompt": "Q", "stream": True}, path=COMPLETIONS, **head))
    assert {whole["id"], *(chunk["id"] for chunk in chunks)} == {"mine-1"}


async def test_7_2_echo_stop_stop_tokens_and_ignore_eos(tmp_path: Path) -> None:
    async with blade(tmp_path, {"text": "one two three"}) as replica:

        async def text(**fields: Any) -> str:
            reply = (await replica.ask({"prompt": "Q:", **fields}, path=COMPLETIONS)).json()
            return str(reply["choices"][0]["text"])

        assert await text(echo=True) == "Q:one two three"
        assert await text(stop=["o th"]) == "one tw"
        assert await text(stop="two", stop_sequences=["ne"]) == "o"
        assert await text(ignore_eos=True, max_tokens=5) == "one two threeone two"
        streamed = events(await replica.ask({"prompt": "Q:", "echo": True, "stream": True}, path=COMPLETIONS))
        assert "".join(chunk["choices"][0]["text"] for chunk in streamed) == "Q:one two three"
        entries = (await replica.ask({"prompt": "Q", "logprobs": 1}, path=COMPLETIONS)).json()["choices"][0][
            "logprobs"
        ]["content"]
        assert await text(stop_tokens=[entries[1]["id"]]) == "one"


async def test_7_2_resume_response_returns_only_the_new_text(tmp_path: Path) -> None:
    async with blade(tmp_path) as replica:
        reply = (await replica.ask({**ASK, "resume_response": " Sure,"}, path=CHAT)).json()
    assert reply["usage"]["prompt_tokens"] == 3
    assert reply["choices"][0]["message"]["content"] == "Q Sure,"  # the scripted engine echoes its whole prompt


@pytest.mark.parametrize("value", [1, True, "true", "1"])
async def test_7_3_logprobs_are_switched_on_by_any_truthy_value(tmp_path: Path, value: Any) -> None:
    async with blade(tmp_path, {"text": "The end"}) as replica:
        whole = (await replica.ask({"prompt": "Q", "logprobs": value}, path=COMPLETIONS)).json()
        chunks = events(await replica.ask({**ASK, "logprobs": value, "top_logprobs": 2, "stream": True}, path=CHAT))
    entry = whole["choices"][0]["logprobs"]["content"][0]
    assert {**entry, "id": 0} == {
        "id": 0, "token": "The", "text": "The", "logprob": -0.1, "is_special": False, "bytes": [84, 104, 101],
        "top_logprobs": None,
    }  # fmt: skip
    for chunk in chunks:
        (one,) = chunk["choices"][0]["logprobs"]["content"]
        assert one["token"] == chunk["choices"][0]["delta"]["content"]
        assert len(one["top_logprobs"]) == 2


@pytest.mark.parametrize("value", [None, 0, False, "false", "0"])
async def test_7_3_logprobs_are_off_otherwise(tmp_path: Path, value: Any) -> None:
    async with blade(tmp_path) as replica:
        whole = (await replica.ask({"prompt": "Q", "logprobs": value}, path=COMPLETIONS)).json()
    assert whole["choices"][0]["logprobs"] is None


@pytest.mark.parametrize(
    ("path", "request_", "parts"),
    [
        (COMPLETIONS, {}, ["prompt", "Field required"]),
        (CHAT, {"prompt": "Q"}, ["messages", "Field required"]),
        (COMPLETIONS, {"prompt": "Q", "stop": [123]}, ["stop[0]", "Input should be a valid string"]),
        (COMPLETIONS, {"prompt": "Q", "seed": "abc"}, ["seed", "Input should be a valid int"]),
        *(
            (path, {**ask, name: value}, [f"{name}: Value error", RANGE, str(value)])
            for path, ask in ((COMPLETIONS, {"prompt": "Q"}), (CHAT, ASK))
            for name in ("presence_penalty", "frequency_penalty")
            for value in (-2.1, 2.1)
        ),
        (CHAT, {"messages": None}, ["messages"]),
        (COMPLETIONS, {"prompt": "Q", "repetition_penalty": 0}, ["Value error", "has to be a strictly positive float"]),
        (CHAT, {**ASK, "repetition_penalty": 0}, ["Value error", "has to be a strictly positive float"]),
        (CHAT, {**ASK, "stop": ["a", 123]}, ["stop[1]", "Input should be a valid string"]),
        (CHAT, {**ASK, "seed": "abc"}, ["seed", "Input should be a valid int"]),
        (CHAT, {"messages": [{"role": "user", "content": 5}]}, ["messages[0].content"]),
        (CHAT, {**ASK, "guided_json": {"type": "object"}}, ["guided_json", "engine vllm can"]),
        (CHAT, {**ASK, "response_format": {"type": "json_object"}}, ["engine vllm can"]),
        (CHAT, {**ASK, "response_format": "xml"}, ["response_format", "json_object"]),
        (COMPLETIONS, {"prompt": "Q", "stream": "maybe"}, ["stream"]),
    ],
)  # fmt: skip
async def test_7_4_each_problem_is_named_as_the_real_server_does(
    tmp_path: Path, path: str, request_: dict[str, Any], parts: list[str]
) -> None:
    async with blade(tmp_path) as replica:
        answer = await replica.ask(request_, path=path)
    assert answer.status == 400
    assert answer.headers["Content-Type"].startswith("text/plain")
    text = answer.body.decode()
    assert text.startswith("Invalid request")
    assert all(part in text for part in parts), text


async def test_7_4_one_line_per_problem_and_the_printed_example(tmp_path: Path) -> None:
    async with blade(tmp_path) as replica:
        answer = await replica.ask({"presence_penalty": 2.1}, path=COMPLETIONS)
        numeric = await replica.ask({"prompt": "Q", "seed": "42"}, path=COMPLETIONS)
        broken = await replica.ask("{", path=COMPLETIONS)
    assert sorted(answer.body.decode().splitlines()) == [
        "Invalid request: presence_penalty: Value error, `presence_penalty` has to be in [-2, 2], but is 2.1",
        "Invalid request: prompt: Field required",
    ]
    assert numeric.status == 200
    assert (broken.status, broken.body) == (400, b"Invalid request: body is not valid JSON")


async def test_7_2_more_than_one_completion_is_500_with_its_own_text(tmp_path: Path) -> None:
    async with blade(tmp_path) as replica:
        answer = await replica.ask({"prompt": "Q", "n": 2}, path=COMPLETIONS)
    assert (answer.status, answer.body) == (500, b"Do no support to generate multiple completions.")


async def test_7_2_a_prompt_beyond_the_context_is_400_in_this_shape(tmp_path: Path) -> None:
    async with blade(tmp_path, template={"context": 4}) as replica:
        answer = await replica.ask({"prompt": "a b c d", "stream": True}, path=COMPLETIONS)
    assert answer.status == 400
    assert answer.body.startswith(b"Invalid request: the prompt has 4 tokens, the context of this model is 4")


async def test_7_3_an_engine_that_breaks(tmp_path: Path) -> None:
    async with blade(tmp_path, {"text": "a b", "failAfterTokens": 1}) as replica:
        whole = await replica.ask(ASK, path=CHAT)
        chunks = events(await replica.ask({**ASK, "stream": True}, path=CHAT))
    assert whole.status == 500
    assert whole.json()["error_info"] == {"code": 500, "message": "asked to fail after 1 tokens"}
    assert whole.json()["object"] == "chat.completion"
    assert [chunk["error_info"] for chunk in chunks] == [None, {"code": 500, "message": "asked to fail after 1 tokens"}]


async def test_7_3_a_client_that_leaves_is_dropped_from_running_and_waiting(tmp_path: Path) -> None:
    async with blade(tmp_path, {"text": "a b", "tokensPerSecond": 0.02}, template={"concurrency": 1}) as replica:
        writers = []
        for _ in range(2):
            _, writer = await replica.connect()
            writer.write(request_bytes({"prompt": "Q", "stream": True}, path=COMPLETIONS))
            writers.append(writer)
        await until(lambda: (replica.replica.load().running, replica.replica.load().queue) == (1, 1))
        for writer in writers:
            writer.close()
            await writer.wait_closed()
        async with asyncio.timeout(5):
            await replica.replica.idle.wait()
        assert (replica.replica.load().running, replica.replica.load().queue) == (0, 0)


async def test_7_1_what_else_is_served(tmp_path: Path) -> None:
    async with blade(tmp_path, {"text": "x"}) as replica:
        for path, status, body in (
            ("/v1/models", 404, b"404: Not Found"), ("/nope", 404, b"404: Not Found"), ("/is_ready", 200, b"True"),
            ("/start_profiler", 200, None), ("/stop_profiler", 200, None), ("/metric", 200, None), ("/", 200, None),
        ):  # fmt: skip
            answer = await replica.ask(path=PREFIX + path)
            assert answer.status == status, path
            assert body is None or answer.body == body
        assert (await replica.ask("Q")).body == b"x"  # ChatLLM at the root


async def test_7_1_generate_benchmark_times_each_token(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "So: "}]
    async with blade(tmp_path, {"text": "a b"}) as replica:
        path = f"{PREFIX}/generate_benchmark"
        reply = (await replica.ask({"messages": messages}, path=path, X_DashScope_RequestId="r1")).json()
        refused = await replica.ask({}, path=path)
    assert (reply["request_id"], reply["generated_text"], reply["num_output_tokens_cf"]) == ("r1", "So: a b", 3)
    assert len(reply["per_token_latency"]) == 3
    assert all(milliseconds >= 0 for _, milliseconds in reply["per_token_latency"])
    assert (refused.status, "Field required" in refused.body.decode()) == (400, True)


async def test_13_the_openai_sdk_chats_and_completes(tmp_path: Path) -> None:
    async with blade(tmp_path, {"text": "a b"}) as replica:
        async with openai.AsyncOpenAI(base_url=f"{replica.url}/v1", api_key=TOKEN, max_retries=0) as sdk:
            chat = await sdk.chat.completions.create(model="", messages=[{"role": "user", "content": "Q"}])
            stream = await sdk.completions.create(model="", prompt="Q", stream=True)
            assert chat.choices[0].message.content == "a b"
            assert "".join([chunk.choices[0].text async for chunk in stream]) == "a b"
            with pytest.raises(openai.NotFoundError):
                await sdk.models.list()
