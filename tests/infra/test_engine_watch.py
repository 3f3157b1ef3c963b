"""The end of the engine ends plugin and program."""

from __future__ import annotations

import socket
import threading

import pytest

from infra.engine_watch import engine_answers, program_engine, watch_engine


def test_a_listening_engine_answers_and_a_closed_one_refuses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert engine_answers(address)
    assert not engine_answers(address)


def test_two_refusals_in_a_row_are_the_end_and_one_is_not() -> None:
    answers = iter([True, False, True, False, False, True])
    gone, asked = threading.Event(), []

    def answer(address: str) -> bool:
        asked.append(address)
        return next(answers)

    watch_engine("a:1", gone.set, answers=answer, period=0.001)
    assert gone.wait(5)
    assert len(asked) == 5


@pytest.mark.parametrize(
    ("arguments", "engine"),
    [
        (["python", "exec", "--monitor", "m:1", "--engine", "e:2", "."], "e:2"),
        (["python", "exec", "--engine=e:2"], "e:2"),
        (["python", "-m", "infra"], ""),
        (["--engine"], ""),
    ],
)
def test_a_program_knows_its_engine_from_its_command_line(arguments: list[str], engine: str) -> None:
    assert program_engine(arguments) == engine
