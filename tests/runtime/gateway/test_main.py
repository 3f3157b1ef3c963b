"""The process: its command line, the inherited socket, SIGTERM."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runtime.gateway.command import bind, main
from tests.runtime.gateway.conftest import MakeReplica
from tests.runtime.gateway.harness import Connection, post, until, view_of

COMMAND = (sys.executable, "-m", "runtime.gateway")


@contextmanager
def running(folder: Path, listening: socket.socket, view: str, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    file = folder / "view.json"
    file.write_text(view)
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(
            [*COMMAND, "--view", str(file), "--fd", str(listening.fileno()), "--nonce", "n1", *options],
            stdout=log,
            stderr=subprocess.DEVNULL,
            pass_fds=(listening.fileno(),),
        )
    try:
        yield child
    finally:
        child.kill()
        child.wait()


async def test_sigterm_ends_running_answers_and_a_successor_serves_on_the_same_socket(
    replica: MakeReplica, tmp_path: Path
) -> None:
    step = asyncio.Event()

    async def slow(connection: Connection) -> None:
        while True:
            await connection.head()
            await step.wait()
            await connection.answer(b"done")

    one = await replica("a", slow)
    view = view_of({"v1": [one.endpoint()]}).to_json()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with running(tmp_path, listening, view) as first:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(post())
            await until(lambda: one.heads)
            first.send_signal(signal.SIGTERM)
            later_reader, later_writer = await asyncio.open_connection("127.0.0.1", port)
            later_writer.write(post(lines=b"Connection: close\r\n"))
            step.set()
            assert (await asyncio.wait_for(reader.read(), 10)).endswith(b"done")
            assert await asyncio.to_thread(first.wait, 10) == 0
            with running(tmp_path, listening, view):
                assert (await asyncio.wait_for(later_reader.read(), 10)).endswith(b"done")
        for each in (writer, later_writer):
            each.close()


async def test_the_access_log_is_whole_when_the_process_has_ended(replica: MakeReplica, tmp_path: Path) -> None:
    one = await replica()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        with running(tmp_path, listening, view_of({"v1": [one.endpoint()]}).to_json()) as child:
            reader, writer = await asyncio.open_connection(*listening.getsockname())
            writer.write(post(lines=b"Connection: close\r\n"))
            await reader.read()
            writer.close()
            child.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(child.wait, 10) == 0
    assert [json.loads(line)["status"] for line in (tmp_path / "log").read_text().splitlines()] == [200]


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--view", "x"),
        ("--view", "x", "--host-socket", "y", "--fd", "3"),
        ("--view", "x", "--listen", "nowhere"),
        ("--view", "x", "--fd", "999"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_exit_code_2_and_one_line(
    options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(list(options))
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    assert code == 2
    assert (
        capsys.readouterr().err.splitlines()[-1].startswith(("python -m runtime.gateway: error", "runtime.gateway: "))
    )


@pytest.mark.parametrize("listen", ["8070", "127.0.0.1:", "127.0.0.1:x"])
def test_an_address_without_host_and_port_is_refused(listen: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        bind(listen)


def test_a_free_port_is_taken_for_port_0() -> None:
    with bind("127.0.0.1:0") as bound:
        assert bound.getsockname()[1] > 0


def test_both_address_families_are_answered_on_the_unspecified_address() -> None:
    with bind("[::]:0") as bound:
        bound.listen()
        with socket.create_connection(("127.0.0.1", bound.getsockname()[1]), timeout=5):
            pass


async def test_for_a_while_after_sigterm_it_says_not_ready_and_still_serves(
    replica: MakeReplica, tmp_path: Path
) -> None:
    one = await replica()

    async def ask(raw: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write(raw)
        try:
            return await asyncio.wait_for(reader.read(), 10)
        finally:
            writer.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        view = view_of({"v1": [one.endpoint()]}).to_json()
        with running(tmp_path, listening, view, "--drain-delay", "3") as child:
            health = b"GET /-/health HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
            assert (await ask(health)).startswith(b"HTTP/1.1 200")
            child.send_signal(signal.SIGTERM)
            async with asyncio.timeout(3):
                while not (await ask(health)).startswith(b"HTTP/1.1 503"):
                    pass
            assert (await ask(post(lines=b"Connection: close\r\n"))).startswith(b"HTTP/1.1 200")
            assert await asyncio.to_thread(child.wait, 15) == 0


def test_a_cluster_without_any_access_is_one_line(tmp_path: Path) -> None:
    environment = {**os.environ, "KUBECONFIG": str(tmp_path / "none")}
    environment.pop("KUBERNETES_SERVICE_HOST", None)
    options = ("--cluster", "llm", "--listen", "127.0.0.1:0", "--internal", "127.0.0.1:0")
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("runtime.gateway: llm: there is no kubeconfig: looked at ")
