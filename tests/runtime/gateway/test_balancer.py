"""Slots, leases, holds and limits of one service, on a clock that is passed in."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from runtime.contract.host import Endpoint, ServiceView
from runtime.gateway.balancer import Balancer, Lease, NoReplica, RateLimited
from tests.runtime.gateway.harness import view_of


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def endpoint(name: str, *, ready: bool = True, draining: bool = False, address: str = "") -> Endpoint:
    return Endpoint(replica=name, address=address or f"unix:/{name}", ready=ready, draining=draining)


def service(*names: str | Endpoint, **options: Any) -> ServiceView:
    endpoints = [name if isinstance(name, Endpoint) else endpoint(name) for name in names]
    return view_of({"v1": endpoints}, **options).services["chat"]


def balancer(*names: str | Endpoint, **options: Any) -> tuple[Balancer, Clock]:
    clock = Clock()
    return Balancer("chat", service(*names, **options), clock), clock


async def test_requests_go_to_the_least_loaded_ready_replica() -> None:
    chat, _ = balancer("a", "b", endpoint("c", ready=False), endpoint("d", draining=True))
    leases = [await chat.acquire(None) for _ in range(4)]
    assert Counter(lease.slot.endpoint.replica for lease in leases) == {"a": 2, "b": 2}
    leases[1].release()
    assert (await chat.acquire(None)).slot is leases[1].slot


async def test_traffic_is_split_by_weight_over_2000_requests() -> None:
    clock = Clock()
    view = view_of({"v1": [endpoint("a")], "v2": [endpoint("b")]}, weights={"v1": 90, "v2": 10}).services["chat"]
    chat = Balancer("chat", view, clock)
    seen: Counter[str] = Counter()
    for number in range(2000):
        lease = await chat.acquire(None)
        seen[lease.slot.hash] += 1
        lease.release()
        if number % 100 == 0:  # what does not change the weights does not disturb the split
            chat.apply(view)
    assert seen == {"V1": 1800, "V2": 200}


async def test_while_a_version_has_no_replica_another_one_serves_and_the_counts_say_what_is_missing() -> None:
    view = view_of({"v1": [endpoint("a")], "v2": []}, weights={"v1": 50, "v2": 50}).services["chat"]
    chat = Balancer("chat", view, Clock())
    assert {(await chat.acquire(None)).slot.hash for _ in range(4)} == {"V1"}
    counts = chat.counts()
    assert (counts["V2"].wishes, counts["V1"].requests, counts["V1"].in_flight) == (4, 4, 4)
    assert chat.counts() == counts, "reading them changes nothing"


async def test_who_waits_for_any_version_counts_for_each_by_its_share() -> None:
    view = view_of({"v1": [], "v2": []}, weights={"v1": 75, "v2": 25}).services["chat"]
    chat = Balancer("chat", view, Clock())
    waiting = [asyncio.create_task(chat.acquire(name, hold_until=105.0)) for name in (None, None, "V2")]
    await asyncio.sleep(0)
    counts = chat.counts()
    assert (counts["V1"].held, counts["V2"].held) == (1.5, 1.5)
    for task in waiting:
        task.cancel()


async def test_the_counts_of_a_version_that_has_left_are_forgotten() -> None:
    chat, _ = balancer("a")
    (await chat.acquire(None)).release()
    chat.apply(view_of({"v2": [endpoint("b")]}).services["chat"])
    assert set(chat.counts()) == {"V2"}


async def test_a_version_that_is_named_is_not_replaced_by_another_one() -> None:
    view = view_of({"v1": [endpoint("a")], "v2": []}, weights={"v1": 50, "v2": 50}).services["chat"]
    chat = Balancer("chat", view, Clock())
    with pytest.raises(NoReplica):
        await chat.acquire("V2")


async def test_a_held_request_goes_when_a_replica_becomes_ready_and_the_counts_say_so() -> None:
    chat, clock = balancer()
    held = asyncio.create_task(chat.acquire(None, hold_until=clock.now + 5))
    await asyncio.sleep(0)
    assert chat.held == 1
    assert chat.counts()["V1"].held == 1
    chat.apply(service("a"))
    lease = await held
    assert lease.slot.endpoint.replica == "a"
    assert chat.held == 0


async def test_nobody_is_held_longer_than_allowed() -> None:
    chat, clock = balancer()
    with pytest.raises(NoReplica, match="within"):
        await chat.acquire(None, hold_until=clock.now + 0.01)
    assert chat.held == 0
    chat.apply(service("a"))
    assert chat.idle


@pytest.mark.parametrize("options", [{"stopped": True}, {"weights": {}}])
async def test_a_service_that_stops_lets_nobody_wait(options: dict[str, Any]) -> None:
    chat, clock = balancer()
    held = asyncio.create_task(chat.acquire(None, hold_until=clock.now + 5))
    await asyncio.sleep(0)
    if "stopped" in options:
        chat.apply(service(**options))
    else:
        chat.remove()
    with pytest.raises(NoReplica):
        await held


async def test_held_requests_go_in_order_and_never_more_than_a_replica_is_sure_to_admit() -> None:
    chat, clock = balancer(limits={"queue": 2})
    order: list[int] = []
    leases: list[Lease] = []

    async def one(number: int) -> None:
        leases.append(await chat.acquire(None, hold_until=clock.now + 5))
        order.append(number)

    tasks = [asyncio.create_task(one(number)) for number in range(5)]
    await asyncio.sleep(0)
    chat.apply(service("a", limits={"queue": 2}))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert order == [0, 1]
    late = asyncio.create_task(one(5))  # who comes later does not overtake
    await asyncio.sleep(0)
    assert order == [0, 1]
    while leases:
        leases.pop().release()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await asyncio.gather(*tasks, late)
    assert order == [0, 1, 2, 3, 4, 5]
    assert chat.idle


async def test_a_readiness_probe_does_not_queue_behind_those_who_wait() -> None:
    chat, clock = balancer()
    held = [asyncio.create_task(chat.acquire(None, hold_until=clock.now + 5)) for _ in range(2)]
    await asyncio.sleep(0)
    chat.apply(service("a", limits={"queue": 1}))
    first = await held[0]
    assert chat.held == 1
    probe = await chat.acquire(None)
    for lease in (first, probe):
        lease.release()
    (await held[1]).release()
    assert chat.idle


async def test_a_request_that_gives_up_in_the_moment_of_its_grant_gives_its_place_back() -> None:
    chat, clock = balancer()
    held = asyncio.create_task(chat.acquire(None, hold_until=clock.now + 5))
    await asyncio.sleep(0)
    chat.apply(service("a"))  # granted, but the task has not run since
    held.cancel()
    with pytest.raises(asyncio.CancelledError):
        await held
    assert chat.idle
    assert chat.held == 0


async def test_a_late_finish_on_a_replica_that_has_left_touches_no_other_count() -> None:
    chat, _ = balancer("a")
    old = await chat.acquire(None)
    chat.apply(service())
    assert chat.in_flight_by_replica() == {"a": 1}  # still running there: a drain waits for it
    chat.apply(service("a"))
    new = await chat.acquire(None)
    assert chat.in_flight_by_replica() == {"a": 2}
    old.release()
    old.release()
    assert chat.in_flight_by_replica() == {"a": 1}
    new.release()
    assert chat.in_flight_by_replica() == {"a": 0}
    assert chat.idle


async def test_a_replica_that_came_back_elsewhere_is_a_new_one() -> None:
    chat, _ = balancer(endpoint("a", address="unix:/1"))
    old = await chat.acquire(None)
    chat.apply(service(endpoint("a", address="unix:/2")))
    new = await chat.acquire(None)
    assert new.slot is not old.slot
    assert (old.slot.in_flight, new.slot.in_flight) == (1, 1)
    old.release()
    new.release()
    assert chat.idle


async def test_a_suspect_is_passed_over_until_its_time_is_over_or_the_host_saw_it_start_anew() -> None:
    chat, clock = balancer("a", "b")
    suspect = (await chat.acquire(None)).slot
    chat.suspect(suspect)
    assert {(await chat.acquire(None)).slot is suspect for _ in range(5)} == {False}
    clock.now += 0.11
    assert (await chat.acquire(None)).slot is suspect
    chat.suspect(suspect)
    clock.now += 0.11
    assert (await chat.acquire(None)).slot is not suspect  # longer the second time
    name = suspect.endpoint.replica
    chat.apply(service(*(endpoint(each, ready=each != name) for each in ("a", "b"))))
    chat.apply(service("a", "b"))
    assert (await chat.acquire(None)).slot is suspect


async def test_a_held_request_wakes_when_a_suspect_may_be_tried_again() -> None:
    chat = Balancer("chat", service("a"), asyncio.get_running_loop().time)
    lease = await chat.acquire(None)
    lease.release()
    chat.suspect(lease.slot)
    again = await chat.acquire(None, hold_until=asyncio.get_running_loop().time() + 5)
    assert again.slot is lease.slot
    again.release()


async def test_the_rate_of_each_replica_is_limited_by_itself() -> None:
    chat, clock = balancer("a", "b", limits={"qps_per_replica": 2})
    seen = Counter([(await chat.acquire(None)).slot.endpoint.replica for _ in range(4)])
    assert seen == {"a": 2, "b": 2}
    with pytest.raises(RateLimited):
        await chat.acquire(None)
    clock.now += 0.5
    for _ in range(2):
        await chat.acquire(None)
    with pytest.raises(RateLimited):
        await chat.acquire(None)


async def test_the_rate_of_the_service_survives_a_change_elsewhere() -> None:
    chat, _ = balancer("a", limits={"qps": 2})
    assert [chat.pass_rate_limit() for _ in range(3)] == [True, True, False]
    chat.apply(service("a", "b", limits={"qps": 2}))
    assert not chat.pass_rate_limit()
    assert chat.retry_after() == 1
    chat.apply(service("a", "b", limits={"qps": 3}))
    assert chat.pass_rate_limit()
