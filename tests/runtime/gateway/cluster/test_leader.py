"""One of the gateways leads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from runtime.contract.cluster import LEADER
from runtime.gateway.cluster.leader import Leader
from runtime.gateway.cluster.lease import Sighting, is_free, micro_time, sighting, taken
from runtime.kubeapi import Object
from tests.runtime.gateway.harness import until
from tests.runtime.kubeapi.fake_api import FakeApi, client_of, fake_api


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Gateway:
    """A candidate and what it does."""

    def __init__(self) -> None:
        self.leading = False
        self.leader: Leader | None = None

    async def lead(self) -> None:
        self.leading = True
        try:
            await asyncio.Event().wait()
        finally:
            self.leading = False


@asynccontextmanager
async def candidate(api: FakeApi, name: str, clock: Clock) -> AsyncIterator[Gateway]:
    gateway = Gateway()
    async with client_of(api) as kube:
        leader = Leader(kube, "llm", name, gateway.lead, renew_seconds=0.02, clock=clock, utc=clock)
        task = asyncio.create_task(leader.run())
        try:
            yield gateway
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert not gateway.leading


def holder(api: FakeApi) -> str:
    return str(api.get("leases", "llm", LEADER)["spec"]["holderIdentity"])


async def test_the_first_leads_and_the_second_waits_until_it_is_handed_over() -> None:
    async with fake_api() as api:
        clock = Clock()
        async with candidate(api, "a", clock) as first:
            await until(lambda: first.leading)
            async with candidate(api, "b", clock) as second:
                calls = len(api.calls)
                await until(lambda: len(api.calls) > calls + 10)
                assert (holder(api), second.leading) == ("a", False)
        assert holder(api) == "", "given back when it stopped"
        async with candidate(api, "b", clock) as second:
            await until(lambda: second.leading)
            assert api.get("leases", "llm", LEADER)["spec"]["leaseTransitions"] == 1


async def test_a_renewal_that_was_cut_off_but_written_does_not_keep_the_lease() -> None:
    async with fake_api() as api:
        clock = Clock()
        async with candidate(api, "a", clock) as first:
            await until(lambda: first.leading)
            api.refuse["GET leases"] = (500, "InternalError", "no renewal comes in between")
            calls = len(api.calls)
            await until(lambda: len(api.calls) > calls + 2)
            api.put("leases", "llm", api.get("leases", "llm", LEADER))  # another resourceVersion, the same holder
            del api.refuse["GET leases"]
            await asyncio.sleep(0)  # it ends before it has looked again
        assert holder(api) == ""


async def test_a_leader_that_vanished_is_replaced_once_its_lease_is_over() -> None:
    async with fake_api() as api:
        clock = Clock()
        api.put("leases", "llm", taken(None, LEADER, "gone", 0.0, labels={}))
        async with candidate(api, "b", clock) as second:
            await until(lambda: api.calls.count(f"GET leases/{LEADER}") > 3)
            assert not second.leading
            clock.now += 16
            await until(lambda: second.leading)


async def test_a_leader_that_cannot_renew_stops_leading_before_another_may_begin() -> None:
    async with fake_api() as api:
        clock = Clock()
        async with candidate(api, "a", clock) as first:
            await until(lambda: first.leading)
            api.refuse["GET leases"] = (500, "InternalError", "etcd is away")
            clock.now += 9
            calls = len(api.calls)
            await until(lambda: len(api.calls) > calls + 3)
            assert first.leading
            clock.now += 2
            await until(lambda: not first.leading)
            api.refuse.clear()
            await until(lambda: first.leading)


async def test_an_error_while_leading_ends_the_process_and_gives_the_lease_back() -> None:
    async def broken() -> None:
        raise RuntimeError("a defect")

    async with fake_api() as api, client_of(api) as kube:
        with pytest.raises(RuntimeError, match="a defect"):
            await Leader(kube, "llm", "a", broken, renew_seconds=0.02).run()
        assert holder(api) == ""


@pytest.mark.parametrize(
    ("seen", "now", "free"),
    [
        (Sighting("", "", 0), 0, True),
        (Sighting("me", "t", 0), 0, True),
        (Sighting("you", "t", 0), 14.9, False),
        (Sighting("you", "t", 0), 15, True),
    ],
)
def test_when_a_lease_is_free(seen: Sighting, now: float, free: bool) -> None:
    assert is_free(seen, "me", now) is free


def test_a_renewal_counts_from_when_it_was_seen_not_from_the_others_clock() -> None:
    lease: Object = taken(None, LEADER, "you", 5.0, labels={})
    first = sighting(lease, None, 100.0)
    assert sighting(lease, first, 110.0).at == 100.0
    assert sighting(taken(lease, LEADER, "you", 6.0, labels={}), first, 110.0).at == 110.0


def test_times_are_micro_times() -> None:
    assert micro_time(0.5) == "1970-01-01T00:00:00.500000Z"
