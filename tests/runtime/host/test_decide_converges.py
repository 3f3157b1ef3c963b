"""Whatever happens to replicas on the way, `decide` ends at what is wanted and never stops what it should keep."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

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

DRAIN_SECONDS = 3.0
World = dict[str, Observed]


def apply(world: World, action: Action, now: float) -> None:
    """What the executor does, without processes."""
    match action:
        case Start(number=number):
            slot = world.get(f"r{number}")
            assert slot is None or not slot.running, "a slot has one process"
            world[f"r{number}"] = Observed(replica=f"r{number}", number=number, running=True, spawned_at=now)
        case Drain(replica):
            world[replica] = replace(world[replica], stopping_since=now, drained=False)
        case Undrain(replica):
            assert world[replica].terminated_at is None, "what got SIGTERM is lost"
            world[replica] = replace(world[replica], stopping_since=None, drained=None)
        case Terminate(replica):
            assert world[replica].stopping_since is not None, "SIGTERM comes after the gateways know"
            world[replica] = replace(world[replica], terminated_at=now)
        case Kill(replica):
            died(world, replica, now, crashes=1)
        case Forget(replica):
            assert not world[replica].running, "a process without a record is an orphan"
            del world[replica]


def died(world: World, replica: str, now: float, crashes: int) -> None:
    slot = world[replica]
    if slot.stopping_since is not None:
        del world[replica]
    else:
        world[replica] = Observed(replica=replica, number=slot.number, running=False, next_start=now + backoff(crashes))


def happens(world: World, event: str, index: int, now: float) -> None:
    """One thing that replicas or gateways do by themselves."""
    if not world:
        return
    replica = sorted(world)[index % len(world)]
    slot = world[replica]
    match event:
        case "ready" if slot.running and slot.stopping_since is None:
            world[replica] = replace(slot, ready=True)
        case "crash" if slot.running:
            died(world, replica, now, crashes=index % 6)
        case "silent" if slot.running:
            world[replica] = replace(slot, dead="silent")
        case "drained" if slot.stopping_since is not None:
            world[replica] = replace(slot, drained=True)
        case "exits" if slot.terminated_at is not None:
            died(world, replica, now, crashes=1)
        case _:
            pass


EVENTS = st.tuples(st.sampled_from(["ready", "crash", "silent", "drained", "exits"]), st.integers(0, 9))


@settings(deadline=None, max_examples=150)
@example([(1, []), (2, []), (2, [("ready", 0), ("ready", 1), ("silent", 1)])], 1)
@given(st.lists(st.tuples(st.integers(0, 4), st.lists(EVENTS, max_size=4)), max_size=12), st.integers(0, 4))
def test_it_converges_to_what_is_wanted(history: list[tuple[int, list[tuple[str, int]]]], last: int) -> None:
    world: World = {}
    now = 1000.0

    def step(wanted: int) -> list[Action]:
        desired = Desired(service="chat", hash="abc", wanted=wanted, drain_seconds=DRAIN_SECONDS)
        actions = decide(desired, list(world.values()), now)
        serving = sum(slot.ready and slot.stopping_since is None and not slot.dead for slot in world.values())
        for action in actions:
            apply(world, action, now)
        after = sum(slot.ready and slot.stopping_since is None for slot in world.values())
        assert after >= min(serving, wanted), "no ready replica is stopped while it is wanted"
        return actions

    for wanted, events in history:
        step(wanted)
        now += 0.7
        for event, index in events:
            happens(world, event, index, now)
    for _ in range(120):  # longer than the longest back-off, drain and patience together
        step(last)
        now += 0.5
    active = [slot for slot in world.values() if slot.stopping_since is None]
    assert len(world) == len(active) == last
    assert all(slot.running for slot in active)
    assert step(last) == []
