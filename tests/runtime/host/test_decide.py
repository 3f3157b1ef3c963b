"""The rules of `decide`, as a table."""

from __future__ import annotations

import pytest

from runtime.host.decide import (
    Action,
    Desired,
    Drain,
    Forget,
    Kill,
    Observed,
    Start,
    Terminate,
    Undrain,
    backoff,
    decide,
)

NOW = 1000.0


def desired(wanted: int) -> Desired:
    return Desired(service="chat", hash="abc", wanted=wanted, drain_seconds=30)


def slot(number: int, *, running: bool = True, ready: bool = True, **more: object) -> Observed:
    given: dict[str, object] = {"spawned_at": 100.0 + number, **more}
    return Observed(replica=f"r{number}", number=number, running=running, ready=ready, **given)  # type: ignore[arg-type]


START = [Start("chat", "abc", number) for number in range(9)]

CASES: dict[str, tuple[int, list[Observed], list[Action]]] = {
    "nothing wanted, nothing there": (0, [], []),
    "as many as wanted run": (2, [slot(0), slot(1)], []),
    "missing ones start in the lowest free numbers": (3, [slot(1)], [START[0], START[2]]),
    "too many: the one that is not ready goes first": (1, [slot(0, ready=False), slot(1)], [Drain("r0")]),
    "too many and all ready: the newest goes": (1, [slot(0, spawned_at=300), slot(1, spawned_at=200)], [Drain("r0")]),
    "too many: what has no process goes before everything": (1, [slot(0), slot(1, running=False)], [Forget("r1")]),
    "a stopped slot without a process is forgotten": (0, [slot(0, running=False, stopping_since=999)], [Forget("r0")]),
    "draining waits for the gateways": (0, [slot(0, stopping_since=990, drained=False)], []),
    "drained: SIGTERM": (0, [slot(0, stopping_since=999.9, drained=True)], [Terminate("r0")]),
    "a gateway that never applies is not waited for forever": (
        0,
        [slot(0, stopping_since=980, drained=False)],
        [Terminate("r0")],
    ),
    "without a gateway: two seconds first": (0, [slot(0, stopping_since=999)], []),
    "without a gateway: then SIGTERM": (0, [slot(0, stopping_since=998)], [Terminate("r0")]),
    "a replica that never was ready gets SIGTERM at once": (
        0,
        [slot(0, ready=False, stopping_since=1000)],
        [Terminate("r0")],
    ),
    "after SIGTERM it has its time": (0, [slot(0, stopping_since=900, terminated_at=970)], []),
    "after its time and a grace it is killed": (
        0,
        [slot(0, stopping_since=900, terminated_at=967)],
        [Kill("r0", "it did not exit within drain_seconds (30 s)")],
    ),
    "one that stopped answering is killed": (1, [slot(0, dead="silent")], [Kill("r0", "silent")]),
    "back-off is waited for": (1, [slot(0, running=False, next_start=1001)], []),
    "after back-off it starts in its slot": (1, [slot(0, running=False, next_start=1000)], [START[0]]),
    "a clock that was set back does not stretch a back-off": (1, [slot(0, running=False, next_start=9000)], [START[0]]),
    "wanted again before SIGTERM: taken back": (1, [slot(0, stopping_since=999, drained=True)], [Undrain("r0")]),
    "wanted again after SIGTERM: a new one in another slot": (
        1,
        [slot(0, stopping_since=990, terminated_at=999)],
        [START[1]],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_actions_follow_the_numbered_rules(name: str) -> None:
    wanted, slots, actions = CASES[name]
    assert decide(desired(wanted), slots, NOW) == actions


def test_backoff_doubles_up_to_thirty_seconds() -> None:
    assert [backoff(crashes) for crashes in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]
