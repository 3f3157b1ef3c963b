"""Section 6 of eas-protocols.md: upload, list, remove, and answers from documents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from runtime.contract.replica import Knowledge
from runtime.knowledge.base import KnowledgeBase
from tests.runtime.knowledge.embedder import BagOfWords
from tests.runtime.replica.harness import PREFIX, Answer, Running, running
from tests.runtime.replica.protocols.test_websocket import connected

CANADA = "The capital of Canada is Ottawa, on the Ottawa River."
UPLOAD, DOCUMENTS = f"{PREFIX}/uploadfile", f"{PREFIX}/documents"
QUESTION = "What is the capital of Canada?"


@asynccontextmanager
async def knowing(folder: Path, engine_args: dict[str, Any] | None = None, **more: Any) -> AsyncIterator[Running]:
    async with running(folder, engine_args, **more) as replica:
        replica.replica.knowledge = KnowledgeBase(folder / "data" / "knowledge", BagOfWords())
        yield replica


async def upload(replica: Running, name: str, data: bytes, field: str = "file") -> Answer:
    disposition = f'Content-Disposition: form-data; name="{field}"; filename="{name}"'.encode()
    body = b"--edge\r\n" + disposition + b"\r\nContent-Type: text/plain\r\n\r\n" + data + b"\r\n--edge--\r\n"
    return await replica.ask(body, path=UPLOAD, Content_Type="multipart/form-data; boundary=edge")


async def test_6_documents_are_uploaded_listed_and_removed(tmp_path: Path) -> None:
    async with knowing(tmp_path) as replica:
        assert (await upload(replica, "Größe 汉.txt", CANADA.encode())).json() == {"response": "success"}
        assert (await replica.ask(path=DOCUMENTS)).json() == [
            {"name": "Größe 汉.txt", "bytes": len(CANADA), "passages": 1, "origin": "uploaded"}
        ]
        path = DOCUMENTS + "/Gr%C3%B6%C3%9Fe%20%E6%B1%89.txt"
        assert (await replica.ask(path=path, method="DELETE")).status == 200
        assert (await replica.ask(path=path, method="DELETE")).status == 404
        assert (await replica.ask(path=DOCUMENTS)).json() == []


@pytest.mark.parametrize(
    ("name", "field", "part"),
    [("a.exe", "file", ".docx"), ("a.txt", "other", "`file`"), ("", "file", "`file`"), ("a.pdf", "file", "broken")],
)
async def test_6_what_is_no_document_is_400(tmp_path: Path, name: str, field: str, part: str) -> None:
    async with knowing(tmp_path) as replica:
        answer = await upload(replica, name, b"x", field)
    assert answer.status == 400
    assert part in answer.json()["message"]


async def test_6_a_body_that_is_no_form_is_400_and_a_wrong_token_401(tmp_path: Path) -> None:
    async with knowing(tmp_path) as replica:
        assert (await replica.ask("x", path=UPLOAD)).status == 400
        assert (await replica.ask("x", path=UPLOAD, Content_Type="multipart/form-data")).status == 400
        for path in (UPLOAD, DOCUMENTS):
            assert (await replica.ask("x", path=path, Authorization="no")).status == 401


async def test_6_langchain_true_answers_from_the_passages_and_names_them(tmp_path: Path) -> None:
    async with knowing(tmp_path, {"text": "Ottawa"}) as replica:
        await upload(replica, "canada.txt", CANADA.encode())
        plain = (await replica.ask({"prompt": QUESTION})).json()
        whole = (await replica.ask({"prompt": QUESTION, "langchain": True})).json()
        streamed = (await replica.ask({"prompt": QUESTION, "langchain": "True", "use_stream_chat": True})).records()
    assert "sources" not in plain
    (source,) = whole["sources"]
    assert (source["document"], source["passage"]) == ("canada.txt", CANADA)
    assert 0 < source["score"] <= 1.0001
    assert whole["usage"]["prompt_tokens"] > plain["usage"]["prompt_tokens"] + len(CANADA.split())
    assert whole["history"] == [[QUESTION, "Ottawa"]]  # the passages are no part of the dialogue
    assert ["sources" in record for record in streamed] == [False, True]
    assert streamed[-1]["sources"] == [source]


async def test_6_without_documents_langchain_true_is_the_plain_model(tmp_path: Path) -> None:
    async with knowing(tmp_path) as replica:
        reply = (await replica.ask({"prompt": "one two", "langchain": True})).json()
    assert (reply["response"], reply["sources"]) == ("one two", [])


async def test_6_passages_that_do_not_fit_the_context_are_left_out(tmp_path: Path) -> None:
    async with knowing(tmp_path, {"text": "x"}, template={"context": 24}) as replica:
        await upload(replica, "canada.txt", CANADA.encode())
        reply = await replica.ask({"prompt": QUESTION, "langchain": True})
    assert reply.json()["sources"] == []


async def test_6_a_socket_answers_from_the_passages_too(tmp_path: Path) -> None:
    async with knowing(tmp_path, template={"context": 512}) as replica:
        await upload(replica, "canada.txt", CANADA.encode())
        async with connected(replica) as socket:
            socket.send({"prompt": QUESTION, "langchain": True, "use_stream_chat": False})
            (text,) = await socket.until_eos()
    assert "Question: What is the capital" in text  # the scripted engine echoes the end of its prompt


async def test_6_declared_documents_follow_the_settings_and_cannot_be_removed(tmp_path: Path) -> None:
    declared = tmp_path / "docs"
    declared.mkdir()
    (declared / "canada.md").write_text(CANADA)
    async with knowing(tmp_path) as replica:
        assert (await replica.ask(path=DOCUMENTS)).json() == []
        replica.change(knowledge=Knowledge(folder=str(declared), digest="1"))
        (listed,) = (await replica.ask(path=DOCUMENTS)).json()
        assert (listed["name"], listed["origin"]) == ("canada.md", "declared")
        assert (await replica.ask(path=f"{DOCUMENTS}/canada.md", method="DELETE")).status == 409
        assert (await replica.ask({"prompt": QUESTION, "langchain": True})).json()["sources"]
        replica.change()
        assert (await replica.ask(path=DOCUMENTS)).json() == []
