"""SIGTERM before a process has begun: it ends, also as the first process of a container."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SLOW = "import pathlib, time\npathlib.Path({mark!r}).touch()\ntime.sleep(60)\n"


@pytest.mark.parametrize(("part", "heavy"), [("replica", "uvloop"), ("gateway", "uvloop")])
def test_a_signal_during_the_imports_ends_it_at_once(tmp_path: Path, part: str, heavy: str) -> None:
    mark = tmp_path / "importing"
    (tmp_path / f"{heavy}.py").write_text(SLOW.format(mark=str(mark)))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    child = subprocess.Popen([sys.executable, "-m", f"runtime.{part}", "--help"], env=environment)
    try:
        deadline = time.monotonic() + 30
        while not mark.exists():
            assert child.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        child.send_signal(signal.SIGTERM)
        # Without a handler the code would be -15, and the first process of a container would not end at all.
        assert child.wait(10) == 0
    finally:
        child.kill()
