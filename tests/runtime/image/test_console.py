"""Progress that can be followed, on a terminal and in a log."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from runtime.image.console import LAST_LINES, Progress, run
from runtime.image.problem import ImageProblem


def test_a_log_gets_every_step_and_now_and_then_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    times: Iterator[float] = iter([0, 0, 1, 1, 2, 12, 12, 12])
    progress = Progress(clock=lambda: next(times), terminal=False)
    progress.step("FROM base")
    progress.tell("Collecting a")  # at 2 s: too soon
    progress.tell("Collecting b")  # at 12 s
    assert capsys.readouterr().err == "[   1 s] FROM base\n[  12 s]   Collecting b\n"


def test_a_failed_program_leaves_its_last_lines() -> None:
    script = f"for n in range({LAST_LINES + 5}): print(n)\nraise SystemExit(3)"
    with pytest.raises(ImageProblem, match=r"^it failed$") as problem:
        run([sys.executable, "-c", script], failed="it failed", hint="try again")
    assert problem.value.output.splitlines() == [str(n) for n in range(5, LAST_LINES + 5)]
    assert problem.value.hint == "try again"


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(ImageProblem, match=r"it failed: /nonexistent: No such file"):
        run(["/nonexistent"], failed="it failed")


def test_lines_are_followed_while_it_runs() -> None:
    seen: list[str] = []
    assert run([sys.executable, "-c", "print('a'); print('b')"], failed="", follow=seen.append) == "a\nb\n"
    assert seen == ["a", "b"]
