"""Processes are known by pid, start and nonce, and end with everything that they started."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.host.process import Child, adopt, end_session, ending, identify, is_alive, nonce_of, scan, spawn, stat

SLEEPER = "import time; print('up', flush=True); time.sleep(600)"


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Child]:
    arguments = [sys.executable, "-S", "-E", "-c", SLEEPER, f"{tmp_path}/mark", "--nonce", "abc123"]
    child = spawn(arguments, nonce="abc123", environment={}, log=tmp_path / "log", folder=tmp_path)
    yield child
    if child.pidfd >= 0:
        child.kill()
        end(child)


def end(child: Child) -> str:
    """Wait for the pidfd as the host's loop does."""
    assert select.select([child.pidfd], [], [], 10)[0]
    return child.reap()


def test_a_process_is_itself_only_with_its_start_its_boot_and_its_nonce(sleeper: Child) -> None:
    identity = sleeper.identity
    assert is_alive(identity)
    assert not is_alive(replace(identity, start=identity.start + 1)), "another process that got the same pid"
    assert not is_alive(replace(identity, boot="another")), "the machine was restarted"
    assert not is_alive(replace(identity, nonce="other"))
    assert adopt(replace(identity, start=identity.start + 1)) is None


def test_a_process_is_found_by_a_mark_on_its_command_line(sleeper: Child, tmp_path: Path) -> None:
    assert list(scan([f"{tmp_path}/mark"])) == [sleeper.identity]
    assert list(scan([f"{tmp_path}/other"])) == []


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-S", "-E", "-c", "", "--nonce", "abc123"])
    identity = identify(child.pid, "abc123")
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    found = stat(child.pid)
    assert identity is not None
    assert found is not None
    assert found.state == "Z"
    assert not is_alive(identity)
    child.wait()


def test_a_killed_process_says_so_and_is_gone(sleeper: Child) -> None:
    sleeper.send(signal.SIGKILL)
    assert end(sleeper) == "killed by SIGKILL"
    assert not is_alive(sleeper.identity)


def test_what_is_left_of_a_session_is_ended_once_its_leader_is_gone(tmp_path: Path) -> None:
    helper = f"import subprocess, sys; subprocess.Popen([sys.executable, '-S', '-E', '-c', {SLEEPER!r}]); {SLEEPER}"
    leader = spawn(
        [sys.executable, "-S", "-E", "-c", helper], nonce="", environment={}, log=tmp_path / "log", folder=tmp_path
    )
    wait_for(lambda: (tmp_path / "log").read_text().count("up") == 2)
    end_session(leader.identity)
    assert stat(leader.identity.pid) is not None, "the leader lives: nothing is left over"
    [helper_pid] = session_of(leader.identity.pid) - {leader.identity.pid}
    leader.send(signal.SIGKILL)
    os.waitpid(leader.identity.pid, 0)  # gone unseen: without the end that `reap` gives the session
    assert stat(helper_pid) is not None
    end_session(leader.identity)
    wait_for(lambda: not session_of(leader.identity.pid))
    leader.close()


def session_of(leader: int) -> set[int]:
    """The living processes of a session."""
    pids = {int(entry) for entry in os.listdir("/proc") if entry.isdigit()}
    return {pid for pid in pids if (found := stat(pid)) is not None and found.session == leader and found.state != "Z"}


def wait_for(condition: Callable[[], bool]) -> None:
    """Poll for at most 10 s."""
    for _ in range(1000):
        if condition():
            return
        select.select([], [], [], 0.01)
    raise AssertionError("it did not come about")


def test_output_is_appended_to_the_log(sleeper: Child, tmp_path: Path) -> None:
    log = tmp_path / "log"
    wait_for(lambda: log.read_text() != "")
    assert log.read_text() == "up\n"
    assert log.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("code", "out_of_memory", "words"),
    [
        (0, False, "exit code 0"),
        (3, True, "exit code 3"),
        (-11, False, "killed by SIGSEGV"),
        (-9, False, "killed by SIGKILL"),
        (-9, True, "out of memory: the kernel killed it (SIGKILL)"),
        (None, False, "ended while it was not a child of this host (exit code unknown)"),
    ],
)
def test_an_end_is_put_in_words(code: int | None, out_of_memory: bool, words: str) -> None:
    assert ending(code, out_of_memory=out_of_memory) == words


def test_the_nonce_is_read_from_a_command_line() -> None:
    assert nonce_of(("python", "--nonce", "x", "more")) == "x"
    assert nonce_of(("python", "--nonce")) is None
    assert nonce_of(("python",)) is None
