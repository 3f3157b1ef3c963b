"""Lines that a person reads while setting up takes its time, and the error that ends it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

LAST_LINES = 15


class StepFailed(Exception):
    """A step of the set-up did not work: `step` says which, `remedy` what to do, `output` how it ended."""

    def __init__(self, step: str, remedy: str, output: str = "") -> None:
        super().__init__(step)
        self.step, self.remedy, self.output = step, remedy, output


def say(line: str) -> None:
    """One line for a person, on stderr: stdout belongs to results."""
    print(line, file=sys.stderr, flush=True)


def report(error: StepFailed) -> None:
    """Print which step failed, how it ended and what to do."""
    say(f"\nfailed: {error.step}")
    if error.output:
        say("\n".join(f"  | {line}" for line in error.output.splitlines()))
    say(f"what to do: {error.remedy}")


class Heartbeat:
    """Progress of one long step: every few seconds a line, new or not (on a terminal it is one line, rewritten).

    A context manager: it says how long the step took, unless the step failed.
    """

    def __init__(self, step: str, *, seconds: float = 10) -> None:
        self._step, self._text = step, "working"
        self._terminal = sys.stderr.isatty()
        self._seconds = 0.5 if self._terminal else seconds
        self._started = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if kind is None:
            self._show("done", end="\n")
        elif self._terminal:
            self._show(self._text, end="\n")

    def tell(self, text: str) -> None:
        """What the next line says."""
        self._text = text

    def _beat(self) -> None:
        while not self._over.wait(self._seconds):
            self._show(self._text, end="" if self._terminal else "\n")

    def _show(self, text: str, *, end: str) -> None:
        start = "\r\033[K" if self._terminal else ""
        line = f"  {self._step}: {text}, {time.monotonic() - self._started:.0f} s"
        print(f"{start}{line}", end=end, file=sys.stderr, flush=True)


def run(
    command: Sequence[str | Path],
    *,
    step: str,
    remedy: str,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] = lambda line: None,
) -> None:
    """Run a command, give each line of its output to `on_line`. Raises StepFailed with the last lines."""
    last: deque[str] = deque(maxlen=LAST_LINES)
    try:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env=dict(environment) if environment is not None else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except FileNotFoundError as error:
        raise StepFailed(step, remedy, f"{error.filename}: not found") from None
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            last.append(line.rstrip())
            on_line(line.rstrip())
    if process.returncode:
        raise StepFailed(step, remedy, "\n".join(last))
