"""The most memory of a process and its children."""

from __future__ import annotations

import subprocess
import sys

from infra.peak import family, fullest, memory_peak

MIB = 2**20
HOLD = """
import subprocess, sys
held = bytearray({mib} << 20)
held[::4096] = b"x" * len(held[::4096])
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=sys.stdout) if len(sys.argv) > 1 else None
del held
if child is None: print("ready", flush=True)
sys.stdin.readline()
if child: child.kill()
"""


def test_the_peak_counts_what_was_given_back_and_what_children_hold() -> None:
    command = [sys.executable, "-c", HOLD.format(mib=100), HOLD.format(mib=60)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "ready\n"
        assert len(family(process.pid)) == 2
        assert memory_peak(process.pid) > 160 * MIB
        process.stdin.write("\n")
        process.stdin.close()
    assert memory_peak(process.pid) == 0


def test_of_several_gpus_the_fullest_counts() -> None:
    lines = ["GPU-a, 1, 100", "GPU-b, 1, 300", "GPU-b, 2, 50", "GPU-b, 9, 4000", "GPU-b, 1, [N/A]", "no line"]
    assert fullest(lines, [1, 2]) == 350 * MIB
    assert fullest(lines, [7]) == 0
