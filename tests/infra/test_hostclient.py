"""The client of the host's admin API, over a real unix socket."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.hostclient import HostClient, HostGone, HostProblem, HostTimeout
from runtime.contract.host import Scale
from runtime.contract.names import EPOCH_HEADER


@contextmanager
def answering(path: Path, *answers: bytes) -> Iterator[list[bytes]]:
    """A socket that gives each connection the next raw answer and keeps what was asked."""
    asked: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            for answer in answers:
                connection, _ = server.accept()
                with connection:
                    asked.append(whole_request(connection))
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield asked
        thread.join(timeout=10)


def whole_request(connection: socket.socket) -> bytes:
    """Head and body, however they come: who closes before has not heard all."""
    got = b""
    while b"\r\n\r\n" not in got:
        got += connection.recv(65536)
    length = re.search(rb"(?i)content-length: (\d+)", got)
    while length and len(got.partition(b"\r\n\r\n")[2]) < int(length[1]):
        got += connection.recv(65536)
    return got


def reply(status: str, body: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def test_writes_carry_the_epoch_and_reads_do_not(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with answering(path, reply("200 OK", '{"epoch": 4}'), reply("200 OK", "[]")) as asked:
        client = HostClient(path, epoch=3)
        assert client.new_epoch() == 4
        assert client.versions() == []
    assert f"{EPOCH_HEADER}: 3".encode() in asked[0]
    assert EPOCH_HEADER.encode() not in asked[1]


def test_a_refusal_is_a_problem_with_its_code(tmp_path: Path) -> None:
    path = tmp_path / "s"
    problem = '{"code": "StaleEpoch", "message": "a newer run has begun"}'
    with answering(path, reply("409 Conflict", problem)), pytest.raises(HostProblem) as refused:
        HostClient(path).scale("chat", "abc", Scale(replicas=1))
    assert (refused.value.code, refused.value.status) == ("StaleEpoch", 409)


def test_deleting_what_is_not_there_is_fine_and_other_refusals_are_not(tmp_path: Path) -> None:
    path = tmp_path / "s"
    gone, used = '{"code": "NotFound", "message": "x"}', '{"code": "InUse", "message": "a route names it"}'
    with answering(path, reply("404 Not Found", gone), reply("409 Conflict", used)):
        client = HostClient(path)
        client.delete_route("chat")
        with pytest.raises(HostProblem, match="a route names it"):
            client.delete_version("chat", "abc")


def test_no_socket_and_a_broken_answer_mean_that_the_host_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with pytest.raises(HostGone, match="no host answers"):
        HostClient(path).host()
    with answering(path, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"), pytest.raises(HostGone):
        HostClient(path).host()


def test_a_host_that_does_not_answer_in_time_is_a_timeout_not_a_hang(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()
        with pytest.raises(HostTimeout, match=r"GET /v1/host in 0\.05 s"):
            HostClient(path).host(timeout=0.05)


def test_an_answer_of_another_shape_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with answering(path, reply("200 OK", '{"strange": 1}')), pytest.raises(HostProblem, match="no HostInfo"):
        HostClient(path).host()


def test_names_are_quoted_in_paths(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with answering(path, reply("404 Not Found", '{"code": "NotFound", "message": "x"}')) as asked:
        with pytest.raises(HostProblem):
            HostClient(path).route("a/../b")
    assert asked[0].startswith(b"GET /v1/services/a%2F..%2Fb/route ")
