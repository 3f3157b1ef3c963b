"""Section 8 of eas-protocols.md, raw and through the openai SDK."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.runtime.replica.harness import PREFIX, TOKEN, Answer, Running, running

CHAT, COMPLETIONS = f"{PREFIX}/v1/chat/completions", f"{PREFIX}/v1/completions"
ASK = {"model": "scripted", "messages": [{"role": "user", "content": "Q"}]}


def events(answer: Answer) -> list[Any]:
    """The stream's objects; its framing is `data: <json>`, an empty line, and [DONE] at the end."""
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    *lines, done, rest = answer.body.decode().split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    assert all(line.startswith("data: {") and "\n" not in line for line in lines)
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def client(replica: Running) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{replica.url}/v1", api_key=TOKEN, max_retries=0)


@pytest.mark.parametrize("authorization", [TOKEN, f"Bearer {TOKEN}"])
async def test_8_models_lists_the_one_that_is_served(tmp_path: Path, authorization: str) -> None:
    async with running(tmp_path) as replica:
        answer = await replica.ask(path=f"{PREFIX}/v1/models", Authorization=authorization)
        health = await replica.ask(path=f"{PREFIX}/health", Authorization=authorization)
    assert answer.json()["data"][0]["id"] == "scripted"
    assert health.status == 200


async def test_8_the_sdk_lists_chats_completes_and_streams(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": "a b c"}) as replica, client(replica) as sdk:
        model = (await sdk.models.list()).data[0].id
        chat = await sdk.chat.completions.create(model=model, messages=[{"role": "user", "content": "Q"}])
        assert (chat.choices[0].message.content, chat.choices[0].finish_reason) == ("a b c", "stop")
        assert chat.usage is not None and chat.usage.completion_tokens == 4
        text = await sdk.completions.create(model="default", prompt="Q", max_tokens=2)
        assert (text.choices[0].text, text.choices[0].finish_reason, text.model) == ("a b", "length", "scripted")
        stream = await sdk.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "Q"}], stream=True
        )
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "a b c"
        pieces = await sdk.completions.create(model=model, prompt="Q", stream=True)
        assert [chunk.choices[0].text async for chunk in pieces] == ["a", " b", " c", ""]


async def test_8_the_synchronous_sdk_works_too(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": "a b"}) as replica:

        def call() -> str:
            with openai.OpenAI(base_url=f"{replica.url}/v1", api_key=TOKEN) as sdk:
                parts = [{"type": "text", "text": "Q"}]
                stream = sdk.chat.completions.create(
                    model="scripted",
                    messages=[{"role": "user", "content": parts}],
                    stream=True,
                )
                return "".join(chunk.choices[0].delta.content or "" for chunk in stream)

        assert await asyncio.to_thread(call) == "a b"


async def test_8_no_chunk_has_empty_choices_unless_usage_is_asked_for(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": "a b"}) as replica:
        plain = events(await replica.ask({**ASK, "stream": True}, path=CHAT))
        asked = events(await replica.ask({**ASK, "stream": True, "stream_options": {"include_usage": True}}, path=CHAT))
    assert all(len(chunk["choices"]) == 1 and "usage" not in chunk for chunk in plain)
    assert len({chunk["id"] for chunk in plain}) == 1
    assert plain[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert plain[-1]["choices"][0]["finish_reason"] == "stop"
    assert [chunk["usage"] for chunk in asked[:-1]] == [None] * (len(asked) - 1)
    assert (asked[-1]["choices"], asked[-1]["usage"]["completion_tokens"]) == ([], 3)


@pytest.mark.parametrize("model", ["nope", ""])
async def test_8_an_unknown_or_empty_model_is_404(tmp_path: Path, model: str) -> None:
    async with running(tmp_path) as replica:
        answer = await replica.ask({**ASK, "model": model}, path=CHAT)
    assert answer.status == 404
    assert answer.json() == {
        "object": "error", "message": f"The model `{model}` does not exist.", "type": "NotFoundError",
        "param": None, "code": 404,
    }  # fmt: skip


async def test_8_a_model_may_be_called_by_its_mount_path(tmp_path: Path) -> None:
    (mounted := tmp_path / "mounted").mkdir()
    template = {"storage": [{"mount_path": "/model_dir", "source": str(mounted)}]}
    async with running(tmp_path, template=template) as replica:
        assert (await replica.ask({**ASK, "model": "/model_dir"}, path=CHAT)).status == 200


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"messages": []}, "messages"), ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "image_url"),
        ({"temperature": -1}, "temperature"), ({"max_tokens": 0}, "max_tokens"), ({"top_p": 2}, "top_p"),
        ({"n": 2, "stream": True}, "`n` above 1"), ({"tools": [{"type": "function"}]}, "engine vllm can"),
        ({"response_format": {"type": "json_object"}}, "guided_json"), ({"stop": [1]}, "stop"),
    ],
)  # fmt: skip
async def test_8_what_cannot_be_done_is_400_and_named(tmp_path: Path, change: dict[str, Any], part: str) -> None:
    async with running(tmp_path) as replica:
        answer = await replica.ask({**ASK, **change}, path=CHAT)
    assert answer.status == 400
    assert part in answer.json()["message"]
    assert answer.json()["type"] == "BadRequestError"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
async def test_8_a_body_that_is_no_object_is_400(tmp_path: Path, body: bytes) -> None:
    async with running(tmp_path) as replica:
        assert (await replica.ask(body, path=COMPLETIONS)).status == 400


async def test_8_several_choices_prompts_and_token_ids(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": "a"}) as replica:
        two = (await replica.ask({"prompt": ["x", "y"], "n": 2}, path=COMPLETIONS)).json()
        ids = (await replica.ask({"prompt": [1, 1, 1], "echo": False}, path=COMPLETIONS)).json()
        echo = (await replica.ask({"prompt": "one two", "echo": True}, path=COMPLETIONS)).json()
    assert [choice["index"] for choice in two["choices"]] == [0, 1, 2, 3]
    assert two["usage"] == {"prompt_tokens": 2, "completion_tokens": 8, "total_tokens": 10}
    assert ids["usage"]["prompt_tokens"] == 3
    assert echo["choices"][0]["text"] == "one twoa"


async def test_8_logprobs(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": "a b"}) as replica:
        chat = (await replica.ask({**ASK, "logprobs": True, "top_logprobs": 2}, path=CHAT)).json()
        text = (await replica.ask({"prompt": "Q", "logprobs": 1}, path=COMPLETIONS)).json()
    entries = chat["choices"][0]["logprobs"]["content"]
    assert [entry["token"] for entry in entries][:2] == ["a", " b"]
    assert all(len(entry["top_logprobs"]) == 2 for entry in entries)
    assert text["choices"][0]["logprobs"]["text_offset"][:2] == [0, 1]


async def test_8_an_engine_that_breaks_in_a_stream_says_so_and_ends_it(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": "a b", "failAfterTokens": 1}) as replica:
        chunks = events(await replica.ask({**ASK, "stream": True}, path=CHAT))
        whole = await replica.ask(ASK, path=CHAT)
    assert chunks[-1]["error"]["message"] == "asked to fail after 1 tokens"
    assert (whole.status, whole.json()["type"]) == (500, "InternalServerError")


async def test_8_a_wrong_path_is_404_with_a_detail(tmp_path: Path) -> None:
    async with running(tmp_path) as replica:
        answer = await replica.ask(ASK, path=f"{PREFIX}/v1/nope")
    assert (answer.status, answer.body) == (404, b'{"detail":"Not Found"}')
