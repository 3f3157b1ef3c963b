"""A process is known by number, start time and boot; another one of the same number is never killed."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace

import pytest

from tools.cluster.process import Process, inside_of


def test_a_process_is_alive_until_it_is_killed() -> None:
    with subprocess.Popen(["sleep", "60"]) as sleeping:
        process = Process.of(sleeping.pid)
        assert process.alive()
        assert process.kill()
        assert not process.alive()  # although nobody has asked for its exit code yet
    assert not process.kill()


def test_another_process_of_the_same_number_is_left_alone() -> None:
    with subprocess.Popen(["sleep", "60"]) as sleeping:
        process = Process.of(sleeping.pid)
        for other in (replace(process, started=process.started - 1), replace(process, boot="before")):
            assert not other.alive()
            assert not other.kill()
        assert process.alive()
        sleeping.kill()


def test_a_process_that_is_gone_has_no_identity() -> None:
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    with pytest.raises(ProcessLookupError):
        Process.of(ended.pid)


def test_processes_of_a_namespace_are_found_by_their_numbers_here() -> None:
    assert inside_of(Process.of(os.getpid()))[os.getpid()] == os.getpid()
