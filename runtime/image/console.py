"""Programs that take minutes: what they say is shown while they run, and their last lines when they fail."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from runtime.image.problem import ImageProblem

LAST_LINES = 15
QUIET_SECONDS = 10
"""Where no terminal rewrites its line, one line in so many seconds is enough."""

Follow = Callable[[str], None]


class Progress:
    """Lines of a build for a person, on stderr: each step, and what it does now."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, terminal: bool | None = None) -> None:
        self._clock, self._began, self._shown = clock, clock(), clock()
        self._terminal = sys.stderr.isatty() if terminal is None else terminal
        self._open = False

    @property
    def seconds(self) -> float:
        """Since it was made."""
        return self._clock() - self._began

    def step(self, text: str) -> None:
        """A line that stays."""
        self._end()
        self._shown = self._clock()
        print(f"[{self.seconds:4.0f} s] {text[:160]}", file=sys.stderr, flush=True)

    def tell(self, text: str) -> None:
        """What goes on inside a step: rewritten on a terminal, elsewhere now and then."""
        text = " ".join(text.split())[:110]
        if not text:
            return
        if self._terminal:
            print(f"\r\033[K         {text}", end="", file=sys.stderr, flush=True)
            self._open = True
        elif self._clock() - self._shown >= QUIET_SECONDS:
            self._shown = self._clock()
            print(f"[{self.seconds:4.0f} s]   {text}", file=sys.stderr, flush=True)

    def _end(self) -> None:
        if self._open:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
            self._open = False


def run(
    command: Sequence[str | Path],
    *,
    failed: str,
    hint: str = "",
    follow: Follow | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """What the program printed (stdout and stderr); raises ImageProblem `failed` with its last lines."""
    lines: list[str] = []
    try:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment,
        )
    except OSError as missing:
        raise ImageProblem(f"{failed}: {command[0]}: {missing.strerror}", hint) from missing
    last: deque[str] = deque(maxlen=LAST_LINES)
    with process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                lines.append(line)
                if line.strip():
                    last.append(line.rstrip())
                if follow:
                    follow(line.rstrip())
        except BaseException:  # Ctrl-C above all: the program must not go on alone
            process.terminate()
            raise
    code = process.returncode
    if code:
        raise ImageProblem(failed, hint, "\n".join(last))
    return "".join(lines)


def answer(command: Sequence[str | Path]) -> str | None:
    """What a program that answers at once prints on stdout; None when it fails or is not there."""
    try:
        done = subprocess.run([str(w) for w in command], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
