"""Generated messages on a WebSocket and generated documents of a knowledge base, straight and through a gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import pytest
import requests
import websocket
from hypothesis import given, seed
from hypothesis import strategies as st

from runtime.contract.version import Method
from runtime.replica.openapi import METHODS
from runtime.replica.protocols.openapi_shapes import CHATLLM_REQUEST
from tests.protocols.services import SEED, Services, fuzzing
from tests.runtime.replica.harness import TOKEN

SECONDS = 10
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))
PAIR = st.lists(st.text(max_size=9), min_size=2, max_size=2)
FIELDS = dict.fromkeys(CHATLLM_REQUEST["properties"], VALUES) | {
    "prompt": st.text(max_size=40) | VALUES,
    "history": st.lists(PAIR, max_size=2) | VALUES,
    "max_new_tokens": st.integers(1, 9) | st.sampled_from(["3", "", None]) | VALUES,
}
MESSAGES = st.fixed_dictionaries({}, optional=FIELDS).map(json.dumps) | st.text() | st.binary() | VALUES.map(json.dumps)
TYPES = st.sampled_from(["application/json", "text/plain; charset=utf-8", "application/x-www-form-urlencoded", ""])
NAMES = st.builds(lambda stem, suffix: stem + suffix, st.text(max_size=30), st.sampled_from([".txt", ".md", ".TXT"]))


@contextmanager
def conversing(address: str, form: str) -> Iterator[websocket.WebSocket]:
    url = address.replace("http://", "ws://")
    socket = websocket.create_connection(url, timeout=SECONDS, header={"Authorization": form})
    try:
        yield socket
    finally:
        socket.close()


@pytest.mark.parametrize("through_gateway", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_no_message_goes_without_an_end_or_breaks_its_socket(
    served: Services, method: Method, through_gateway: bool
) -> None:
    with conversing(served.addresses(method)[through_gateway], TOKEN) as socket:

        @seed(SEED or 0)
        @fuzzing(0.02)
        @given(message=MESSAGES)
        def each(message: str | bytes) -> None:
            opcode = websocket.ABNF.OPCODE_TEXT if isinstance(message, str) else websocket.ABNF.OPCODE_BINARY
            socket.send(message.encode("utf-8", "replace") if isinstance(message, str) else message, opcode)
            for _ in range(500):
                said = socket.recv()
                assert isinstance(said, str), "answers are TEXT"
                if said == "<EOS>":
                    return
                assert said != "internal error" and TOKEN not in said
            raise AssertionError("no <EOS>")

        each()


@pytest.mark.parametrize("through_gateway", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_no_body_of_any_type_breaks_chatllm(served: Services, method: Method, through_gateway: bool) -> None:
    address = served.addresses(method)[through_gateway]
    with requests.Session() as session:

        @seed(SEED or 0)
        @fuzzing(0.02)
        @given(message=MESSAGES, kind=TYPES)
        def each(message: str | bytes, kind: str) -> None:
            body = message.encode("utf-8", "replace") if isinstance(message, str) else message
            headers = {"Authorization": TOKEN, "Content-Type": kind}
            answer = session.post(address, data=body, headers=headers, timeout=SECONDS)
            assert answer.status_code in (200, 400), answer.content
            if answer.status_code == 400:
                assert set(answer.json()) == {"code", "message"}
            elif answer.content.endswith(b"\0"):
                for record in answer.content[:-1].split(b"\0"):
                    assert {"response", "history"} <= set(json.loads(record))

        each()


@pytest.mark.parametrize("through_gateway", [False, True])
def test_no_document_breaks_a_knowledge_base(served: Services, through_gateway: bool) -> None:
    address = served.addresses(Method.STANDARD)[through_gateway]
    with requests.Session() as session:
        session.headers["Authorization"] = TOKEN

        def ask(verb: str, path: str, **more: Any) -> requests.Response:
            answer = session.request(verb, address + path, timeout=SECONDS, **more)
            assert answer.status_code in (200, 400, 404), answer.content
            return answer

        @seed(SEED or 0)
        @fuzzing(0.01)
        @given(name=NAMES, data=st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode()))
        def each(name: str, data: bytes) -> None:
            disposition = f'form-data; name="file"; filename="{name}"'.encode("utf-8", "replace")
            body = b"--edge\r\nContent-Disposition: " + disposition + b"\r\n\r\n" + data + b"\r\n--edge--\r\n"
            headers = {"Content-Type": "multipart/form-data; boundary=edge"}
            added = ask("POST", "/uploadfile", data=body, headers=headers)
            listed = [document["name"] for document in ask("GET", "/documents").json()]
            assert len(listed) == (added.status_code == 200)
            asked = ask("POST", "", json={"prompt": "a b", "langchain": True})
            assert asked.status_code == 200
            for known in listed:
                assert ask("DELETE", "/documents/" + quote(known, safe="")).status_code == 200, known
            assert ask("DELETE", "/documents/" + quote(name.encode("utf-8", "replace"), safe="")).status_code != 200

        each()
