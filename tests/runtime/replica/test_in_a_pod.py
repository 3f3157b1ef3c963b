"""A replica as a pod runs it: its name, its settings' folder, the gateway's key, its last words, its end."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import socket
import sys
import tarfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from runtime.contract.cluster import GATEWAY_HEADER, TERMINATION_LOG_ENV
from runtime.contract.desired import Token
from runtime.contract.host import TokenRecord
from runtime.contract.replica import Knowledge, Listen
from runtime.contract.route import RouteTable
from runtime.knowledge.base import KnowledgeBase
from runtime.replica.serve import open_socket
from tests.runtime.knowledge.embedder import BagOfWords
from tests.runtime.replica.harness import PREFIX, running


@asynccontextmanager
async def pod(
    folder: Path, engine_args: dict[str, Any], *, program: tuple[str, str] = ("-m", "runtime.replica"), **template: Any
) -> AsyncIterator[Pod]:
    settings = folder / "settings"
    settings.mkdir()
    (settings / "tokens.json").write_text(Token(record=TokenRecord(token="t")).to_json())
    (settings / "route.json").write_text(RouteTable(service="demo").to_json())
    (folder / "key").mkdir()
    (folder / "key" / "replica-key").write_text("only-gateways\n")
    spec = {
        "service": "demo", "replica": "", "hash": "0123456789",
        "template": {"method": "standard", "engine": "scripted", "engineArgs": engine_args, **template},
        "listen": {"host": "127.0.0.1", "port": 0}, "settingsFile": str(settings),
        "dataFolder": str(folder), "cacheFolder": str(folder),
    }  # fmt: skip
    (folder / "spec.json").write_text(json.dumps(spec))
    child = await asyncio.create_subprocess_exec(
        sys.executable, *program, "--spec", str(folder / "spec.json"), "--replica", "demo-abc-x1",
        "--nonce", "-", stderr=asyncio.subprocess.PIPE,
        env={**os.environ, TERMINATION_LOG_ENV: str(folder / "termination-log")},
    )  # fmt: skip
    try:
        yield Pod(folder, child)
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


class Pod:
    """The process."""

    def __init__(self, folder: Path, child: asyncio.subprocess.Process) -> None:
        self.folder, self.child = folder, child
        self.log = ""
        self.url = ""

    async def logged(self, text: str) -> str:
        """The next line of the log that holds `text`."""
        assert self.child.stderr is not None
        async with asyncio.timeout(60):
            while line := (await self.child.stderr.readline()).decode():
                self.log += line
                if text in line:
                    return line
        raise AssertionError(self.log)

    async def ready(self) -> None:
        self.url = (await self.logged("listening on")).split("listening on ")[1].strip()
        await self.logged("phase firstToken")

    async def ask(self, **headers: str) -> tuple[int, dict[str, str], str]:
        async with aiohttp.ClientSession() as session:
            async with session.post(f"{self.url}{PREFIX}", data=b"hi", headers=headers) as answer:
                return answer.status, dict(answer.headers), await answer.text()


async def test_it_trusts_what_a_gateway_has_checked_and_checks_everybody_else(tmp_path: Path) -> None:
    async with pod(tmp_path, {}) as one:
        await one.ready()
        assert (await one.ask())[0] == 401
        assert (await one.ask(**{GATEWAY_HEADER: "guess"}))[0] == 401
        status, headers, _ = await one.ask(**{GATEWAY_HEADER: "only-gateways"})
        assert (status, headers["X-Inferform-Replica"]) == (200, "demo-abc-x1")
        assert (await one.ask(Authorization="t"))[0] == 200
        (tmp_path / "key" / "replica-key").write_text("another")
        os.utime(tmp_path / "key" / "replica-key", (1, 1))
        assert (await one.ask(**{GATEWAY_HEADER: "another"}))[0] == 200
        assert (await one.ask(**{GATEWAY_HEADER: "only-gateways"}))[0] == 401
        one.child.terminate()
        await one.logged("draining")
        assert "only-gateways" not in one.log + (tmp_path / "spec.json").read_text()


async def test_a_request_right_after_sigterm_is_answered_not_me_and_the_process_ends_in_order(tmp_path: Path) -> None:
    async with pod(tmp_path, {}) as one:
        await one.ready()
        one.child.send_signal(signal.SIGTERM)
        await one.logged("draining")
        status, headers, text = await one.ask(Authorization="t")
        assert (status, text, headers["X-Inferform-Replica"]) == (503, "no healthy upstream", "demo-abc-x1")
        assert await asyncio.wait_for(one.child.wait(), 20) == 0


async def test_before_it_was_ready_it_ends_within_two_seconds_whatever_it_is_doing(tmp_path: Path) -> None:
    async with pod(tmp_path, {"startSeconds": 60}) as one:
        await one.logged("listening on")
        one.child.send_signal(signal.SIGTERM)
        started = time.monotonic()
        assert await asyncio.wait_for(one.child.wait(), 20) == 0
    assert time.monotonic() - started < 2


HELD_UP = """
import asyncio, sys, time
from runtime.replica.command import main
from runtime.replica.replica import Replica

async def start(self):
    await asyncio.to_thread(time.sleep, 60)

Replica.start = start
sys.exit(main(sys.argv[1:]))
"""


async def test_a_thread_in_the_middle_of_an_import_holds_no_end_up(tmp_path: Path) -> None:
    async with pod(tmp_path, {}, program=("-c", HELD_UP)) as one:
        await one.logged("listening on")
        one.child.send_signal(signal.SIGTERM)
        started = time.monotonic()
        assert await asyncio.wait_for(one.child.wait(), 20) == 0
    assert time.monotonic() - started < 2.5


async def test_a_failed_start_leaves_phase_and_reason_as_its_last_words(tmp_path: Path) -> None:
    async with pod(tmp_path, {}, engine="transformers") as one:
        assert await asyncio.wait_for(one.child.wait(), 60) == 1
    words = json.loads((tmp_path / "termination-log").read_text())
    assert words["phase"] in {"image", "weights", "engine"}
    assert "names no model" in words["reason"]


async def test_a_spec_that_cannot_be_read_is_said_too(tmp_path: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "runtime.replica", "--spec", str(tmp_path / "no.json"), "--nonce", "-",
        stderr=asyncio.subprocess.DEVNULL, env={**os.environ, TERMINATION_LOG_ENV: str(tmp_path / "log")},
    )  # fmt: skip
    assert await asyncio.wait_for(child.wait(), 60) == 2
    assert "no.json" in json.loads((tmp_path / "log").read_text())["reason"]


async def test_where_replicas_share_no_volume_an_upload_is_501_and_the_page_does_not_offer_it(tmp_path: Path) -> None:
    async with running(tmp_path, webui=True) as replica:
        replica.replica.spec = replica.replica.spec.model_copy(update={"uploads": False})
        answer = await replica.ask(b"x", path=f"{PREFIX}/uploadfile", Content_Type="multipart/form-data; boundary=e")
        assert answer.status == 501
        assert "knowledge.documents" in answer.json()["message"]
        page = (await replica.ask(path=PREFIX)).body.decode()
        assert 'data-uploads="false"' in page


async def test_declared_documents_may_come_packed(tmp_path: Path) -> None:
    archive = tmp_path / "documents.tar.gz"

    def pack(text: bytes) -> None:
        with tarfile.open(tmp_path / "new", "w:gz") as packed:
            entry = tarfile.TarInfo("deep/capital.txt")
            entry.size = len(text)
            packed.addfile(entry, io.BytesIO(text))
        (tmp_path / "new").replace(archive)

    async with running(tmp_path, knowledge=Knowledge(folder=str(archive), digest="1"), start=False) as replica:
        replica.replica.knowledge = KnowledgeBase(tmp_path / "data" / "knowledge", BagOfWords())
        pack(b"The capital of Canada is Ottawa.")
        await replica.replica.follow_documents()
        listed = await replica.replica.knowledge.documents()
        assert [(one.name, one.bytes) for one in listed] == [("deep/capital.txt", 32)]
        pack(b"Ottawa.")
        await replica.replica.follow_documents()
        assert [one.bytes for one in await replica.replica.knowledge.documents()] == [7]


async def test_a_packed_file_that_is_none_is_an_error_by_name(tmp_path: Path) -> None:
    archive = tmp_path / "documents.tar.gz"
    archive.write_bytes(b"x")
    async with running(tmp_path, knowledge=Knowledge(folder=str(archive)), start=False) as replica:
        with pytest.raises(ValueError, match=r"documents\.tar\.gz"):
            await replica.replica.follow_documents()


def test_it_listens_on_both_address_families() -> None:
    listener = open_socket(Listen(host="::"))
    listener.listen()
    with listener, socket.create_connection(("127.0.0.1", listener.getsockname()[1]), timeout=5):
        pass
