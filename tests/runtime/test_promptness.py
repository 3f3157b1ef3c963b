"""Short slices are asked for where the kernel grants them, and only for the thread that asks."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from runtime import promptness

SHOW = """
import threading
from pathlib import Path
from runtime.promptness import be_prompt

def slice_ns():
    found = [line for line in Path("/proc/thread-self/sched").read_text().splitlines() if line.startswith("se.slice")]
    return int(found[0].split()[-1]) if found else 0

before = slice_ns()
taken = be_prompt()
seen = []
thread = threading.Thread(target=lambda: seen.append(slice_ns()))
thread.start(); thread.join()
print(taken, before, slice_ns(), seen[0])
"""


def test_the_thread_that_asks_has_short_slices_and_the_ones_it_starts_have_not() -> None:
    said = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True, check=True).stdout.split()
    taken, before, after, thread = said[0], *map(int, said[1:])
    assert taken == str(promptness.platform.machine() in promptness.SCHED_SETATTR)
    if taken == "True" and before:  # the kernel shows slices
        assert after == promptness.SLICE_NS
        assert thread == before


def test_a_machine_whose_call_is_not_known_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promptness.platform, "machine", lambda: "riscv64")
    assert promptness.be_prompt() is False


def test_a_policy_that_somebody_chose_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getscheduler", lambda pid: os.SCHED_BATCH)
    assert promptness.be_prompt() is False
