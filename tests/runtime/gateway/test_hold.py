"""Who may wait, and who goes first."""

from __future__ import annotations

import pytest

from runtime.gateway.hold import HoldQueue, may_hold


@pytest.mark.parametrize(
    ("stopped", "hold_seconds", "held", "answer"),
    [(False, 60, 0, True), (True, 60, 0, False), (False, 0, 0, False), (False, 60, 9, True), (False, 60, 10, False)],
)
def test_who_may_wait(stopped: bool, hold_seconds: float, held: int, answer: bool) -> None:
    assert may_hold(stopped=stopped, hold_seconds=hold_seconds, held=held, cap=10) is answer


async def test_the_first_who_waits_goes_first_and_who_left_is_passed_over() -> None:
    queue: HoldQueue[str] = HoldQueue()
    first, second, third = queue.join(), queue.join(), queue.join()
    assert len(queue) == 3
    first.cancel()
    queue.grant("x")
    assert second.result() == "x"
    assert not third.done()
    queue.grant("y")
    assert third.result() == "y"
    assert not queue
    with pytest.raises(LookupError):
        queue.grant("z")


async def test_everyone_who_waits_can_be_refused() -> None:
    queue: HoldQueue[str] = HoldQueue()
    places = [queue.join(), queue.join()]
    queue.refuse(KeyError("gone"))
    assert all(isinstance(place.exception(), KeyError) for place in places)
    assert not queue
