"""Section 13 of eas-protocols.md: clients as their users run them, each against the running application."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import requests
import websocket
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from runtime.contract.version import Method
from tests.needs import needs
from tests.runtime.replica.harness import TOKEN, Running, running

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # the package says that it is being sunset
    from langchain_community.chat_models import PaiEasChatEndpoint
    from langchain_community.llms.pai_eas_endpoint import PaiEasEndpoint

CAPITAL = "The capital of Canada is Ottawa."
T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    return await asyncio.to_thread(work)


def endpoint(replica: Running, **more: Any) -> PaiEasEndpoint:
    return PaiEasEndpoint(eas_service_url=replica.url, eas_service_token=TOKEN, **more)


async def test_13_pai_eas_endpoint_invokes_and_streams_cumulative_texts(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": CAPITAL}) as replica:
        assert await in_thread(lambda: endpoint(replica).invoke("Q")) == CAPITAL
        chunks = await in_thread(lambda: list(endpoint(replica).stream("Q", stop=["ZZ"])))
        assert chunks[0] == "The"
        assert chunks[-1] == CAPITAL
        assert await in_thread(lambda: endpoint(replica).invoke("Q", stop=["Ottawa"])) == "The capital of Canada is "


async def test_13_pai_eas_endpoint_speaks_version_1(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": CAPITAL}) as replica:
        old = endpoint(replica, version="1.0")
        assert await in_thread(lambda: old.invoke("Q")) == CAPITAL
        assert await in_thread(lambda: list(old.stream("Q"))) == [CAPITAL]


async def test_13_pai_eas_endpoint_raises_with_our_text(tmp_path: Path) -> None:
    async with running(tmp_path) as replica:
        wrong = PaiEasEndpoint(eas_service_url=replica.url, eas_service_token="wrong")
        with pytest.raises(ValueError, match=r"401.*Invalid token"):
            await in_thread(lambda: wrong.invoke("Q"))


async def test_13_pai_eas_chat_endpoint_invokes_and_streams(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": CAPITAL}) as replica:
        chat = PaiEasChatEndpoint(eas_service_url=replica.url, eas_service_token=TOKEN)
        dialogue = [SystemMessage("be brief"), HumanMessage("a"), AIMessage("b"), HumanMessage("Q")]
        assert (await in_thread(lambda: chat.invoke(dialogue))).content == CAPITAL
        chunks = await in_thread(lambda: list(chat.stream(dialogue)))
        assert chunks[0].content == CAPITAL


async def test_13_requests_reads_the_stream_record_by_record(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": "a b c", "tokensPerSecond": 50}) as replica:

        def call() -> list[str]:
            body = {"prompt": "Q", "use_stream_chat": True, "history": []}
            with requests.post(replica.url, headers={"Authorization": TOKEN}, json=body, stream=True) as response:
                assert response.status_code == 200
                lines = response.iter_lines(chunk_size=8192, decode_unicode=False, delimiter=b"\0")
                return [json.loads(line)["response"] for line in lines if line]

        assert await in_thread(call) == ["a", "a b", "a b c", "a b c"]


async def test_13_websocket_client_pipelines_and_counts_the_ends(tmp_path: Path) -> None:
    def call(url: str) -> list[str]:
        got: list[str] = []
        ends = threading.Semaphore(0)

        def on_message(socket: websocket.WebSocketApp, message: str) -> None:
            if message == "<EOS>":
                ends.release()
                if got.count("<EOS>") == 4:
                    socket.close()
            got.append(message)

        def on_open(socket: websocket.WebSocketApp) -> None:
            socket.send(json.dumps({"system_prompt": "be brief"}))
            for number in range(4):
                socket.send(json.dumps({"prompt": f"number {number}", "use_stream_chat": False}))

        app = websocket.WebSocketApp(
            url.replace("http", "ws", 1), on_open=on_open, on_message=on_message, header={"Authorization": TOKEN}
        )
        app.run_forever(ping_interval=2)
        return got

    async with running(tmp_path) as replica:
        got = await in_thread(lambda: call(replica.url))
    answers = [text for number in range(4) for text in (f"number {number}", "<EOS>")]
    assert got == ["<EOS>", *answers]


async def curl(*arguments: str) -> str:
    process = await asyncio.create_subprocess_exec("curl", "-sS", *arguments, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return out.decode()


@needs("curl", shutil.which("curl") is not None)
async def test_13_curl_posts_json_without_saying_so_and_streams_bladellm_and_openai(tmp_path: Path) -> None:
    head = ("-H", f"Authorization: {TOKEN}")
    async with running(tmp_path, {"text": CAPITAL}) as replica:
        told = json.loads(await curl(*head, "-d", '{"prompt": "Q", "history": [["a", "b"]]}', replica.url))
        assert (told["response"], told["history"]) == (CAPITAL, [["a", "b"], ["Q", CAPITAL]])
        records = (await curl("-N", *head, "-d", '{"prompt": "Q", "use_stream_chat": true}', replica.url)).split("\0")
        assert json.loads(records[-2])["response"] == CAPITAL
        models = json.loads(await curl(*head, f"{replica.url}/v1/models"))
        assert models["data"][0]["id"] == "scripted"
    async with running(tmp_path, {"text": CAPITAL}, method=Method.BLADELLM) as replica:
        body = '{"prompt": "hello world", "stream": "true"}'
        stream = await curl(*head, "-H", "Content-Type: application/json", "-d", body, f"{replica.url}/v1/completions")
        lines = [line for line in stream.split("\n") if line]
        assert lines[-1] == "data: [DONE]"
        assert "".join(json.loads(line[6:])["choices"][0]["text"] for line in lines[:-1]) == CAPITAL


@needs("curl", shutil.which("curl") is not None)
async def test_13_curl_as_in_the_documentation(tmp_path: Path) -> None:
    async with running(tmp_path, {"text": CAPITAL}) as replica:
        for data in ("What is the capital of Canada?", "@" + str(tmp_path / "long.txt")):
            (tmp_path / "long.txt").write_text("word " * 300)  # curl asks for 100-continue when a body is long
            head = ("-H", f"Authorization: {TOKEN}", "-H", "Expect: 100-continue")
            assert await curl(*head, "-d", data, replica.url) == CAPITAL
