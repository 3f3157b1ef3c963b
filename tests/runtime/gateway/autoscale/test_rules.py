"""The rules of the autoscaler, by number, on a clock that is passed in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runtime.contract.host import ServiceView, VersionView
from runtime.contract.route import RouteTable, RouteVersion
from runtime.contract.scaling import CronJob, ScaleMetric, ScaleTarget, Scaling
from runtime.contract.version import Bounds
from runtime.gateway.autoscale.measure import Sample
from runtime.gateway.autoscale.rules import STUCK_SECONDS, Decision, Memory, owned, step

NIGHT = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)


class Watched:
    """One version, a look each second; what is decided is done unless `obeys` is false."""

    def __init__(self, low: int, high: int, live: int, *, target: float | None = 10, **scaling: Any) -> None:
        metric = ScaleTarget(metric=ScaleMetric.CONCURRENCY, value=target) if target else None
        self.version = VersionView(
            bounds=Bounds(min=low, max=high), scaling=Scaling(target=metric, **scaling), live=live
        )
        self.memory: Memory | None = None
        self.sample = Sample(at=1000.0)
        self.utc = NIGHT
        self.ready = live
        self.obeys = True
        self.starts = True  # replicas get ready at once

    @property
    def live(self) -> int:
        return self.version.live

    def set(self, live: int) -> None:
        """Somebody else's hand."""
        self.version = self.version.model_copy(update={"live": live})

    def look(self, seconds: int = 1, *, load: int = 0, held: float = 0, wishes: int = 0) -> Decision:
        """So many looks under the same load; the last decision."""
        for _ in range(seconds):
            at = self.sample.at + 1
            self.utc = NIGHT + timedelta(seconds=at - 1001)
            self.sample = replace(
                self.sample,
                at=at,
                in_flight=load,
                held=held,
                wishes=self.sample.wishes + wishes,
                requests=self.sample.requests + (1 if load else 0),
            )
            minute = self.utc.replace(second=0)
            self.memory, decision = step(self.memory, self.version, ready=self.ready, sample=self.sample, utc=minute)
            if self.obeys:
                self.set(decision.replicas)
                if self.starts:
                    self.ready = decision.replicas
            else:
                self.memory = replace(self.memory, asked=None)
        return decision


def service(version: VersionView, *, stopped: bool = False, routed: bool = True) -> ServiceView:
    versions = {"main": RouteVersion(hash="V1" if routed else "V2", weight=100)}
    table = RouteTable(service="chat", versions=versions, stopped=stopped)
    return ServiceView(table=table, versions={"V1": version})


def test_1_a_version_is_scaled_when_it_is_in_service_and_nobody_elses() -> None:
    version = VersionView(bounds=Bounds(min=1, max=4), scaling=Scaling(), live=1)
    assert owned(service(version), "V1") is version
    assert owned(ServiceView(versions={"V1": version}), "V1") is None, "no route"
    assert owned(service(version), "V3") is None
    assert owned(service(version, stopped=True), "V1") is None
    assert owned(service(version, routed=False), "V1") is None
    for change in (
        {"leased": True},
        {"scaling": Scaling(by="hpa")},
        {"scaling": Scaling(by="keda")},
        {"bounds": Bounds(min=2, max=2)},
    ):
        assert owned(service(version.model_copy(update=change)), "V1") is None, change


def test_2_another_hands_count_is_a_new_start_and_no_fight() -> None:
    chat = Watched(1, 8, live=1, down_seconds=60)
    chat.look(100)
    chat.set(5)
    assert chat.look(59).replicas == 5
    assert chat.look(5).replicas == 1, "a whole window later there was still no need of it"
    busy = Watched(1, 8, live=4, down_seconds=60)
    busy.look(30, load=40)
    busy.set(2)
    assert busy.look(1, load=40).replicas == 4, "load moves it at once"
    calm = Watched(1, 8, live=4, down_seconds=60)
    calm.look(30, load=15)
    calm.set(2)
    assert calm.look(30, load=15).replicas == 2, "what was needed before does not bring it back"


def test_3_a_request_that_waits_wakes_a_version_that_sleeps() -> None:
    chat = Watched(0, 4, live=0, up_seconds=600)
    assert chat.look(5).replicas == 0
    assert chat.look(held=0.1) == Decision(1, "a request waits for a replica")
    other = Watched(0, 4, live=0)
    other.look()
    assert other.look(wishes=1).replicas == 1, "another version served in its place"
    assert Watched(0, 4, live=0, activation=3).look(held=7).replicas == 3
    assert Watched(0, 4, live=0, activation=9).look(held=7).replicas == 4
    assert Watched(0, 4, live=0, target=None).look(held=1).replicas == 1


def test_4_without_requests_for_idle_seconds_it_sleeps() -> None:
    chat = Watched(0, 4, live=1, idle_seconds=60, down_seconds=5)
    assert chat.look(60).replicas == 1
    assert chat.look() == Decision(0, "nothing was asked for 60 s")
    assert chat.look(100).replicas == 0
    assert Watched(1, 4, live=1, idle_seconds=60).look(1000).replicas == 1, "min 1"


def test_4_the_idle_clock_starts_at_the_first_ready_replica_and_anew_at_each_request() -> None:
    chat = Watched(0, 4, live=1, idle_seconds=60)
    chat.ready, chat.starts = 0, False
    assert chat.look(500).replicas == 1, "its node is still on the way"
    chat.ready = 1
    assert chat.look(60).replicas == 1
    chat.look(load=1)
    assert chat.look(59).replicas == 1
    chat.ready = 0
    assert chat.look(held=2).replicas == 1, "who waits for a replica that has died is no idleness"
    assert chat.look(59).replicas == 1
    assert chat.look(2).replicas == 0


def test_5_load_moves_it_up_at_once_and_down_to_the_highest_of_the_window() -> None:
    chat = Watched(1, 8, live=1, down_seconds=60)
    assert chat.look(10, load=40).replicas == 4
    assert chat.look(8, load=18).replicas == 4
    assert chat.look(44, load=18).replicas == 4
    assert chat.look(30, load=18).replicas == 2
    assert chat.look(80).replicas == 1


def test_5_a_higher_count_must_have_been_wanted_for_up_seconds() -> None:
    chat = Watched(1, 8, live=1, up_seconds=30)
    assert chat.look(15, load=40).replicas == 1
    assert chat.look(20, load=5).replicas == 1
    assert chat.look(20, load=40).replicas == 1, "the dip in between counts"
    assert chat.look(30, load=40).replicas == 4


def test_5_after_a_start_of_the_autoscaler_the_count_stands_for_a_window() -> None:
    chat = Watched(1, 8, live=6, down_seconds=300)
    assert chat.look(300, load=5).replicas == 6
    assert chat.look(2, load=5).replicas == 1


def test_5_without_a_target_the_count_stays_where_a_hand_has_put_it() -> None:
    chat = Watched(1, 8, live=3, target=None)
    assert chat.look(1000, load=200).replicas == 3
    chat.set(6)
    assert chat.look(1000).replicas == 6


JOBS = (
    CronJob(name="morning", schedule="0 8 * * *", replicas=5),
    CronJob(name="evening", schedule="0 20 * * *", replicas=2),
)


def at(hour: int, chat: Watched, **load: Any) -> Decision:
    """A look at that hour of NIGHT's day."""
    chat.sample = replace(chat.sample, at=1000.0 + (hour - NIGHT.hour) * 3600)
    return chat.look(**load)


def test_6_cron_gives_a_floor_until_the_next_job() -> None:
    chat = Watched(1, 8, live=1, cron=JOBS, down_seconds=60)
    assert chat.look() == Decision(2, "cron evening asks for 2"), "yesterday evening's"
    assert at(8, chat) == Decision(5, "cron morning asks for 5")
    assert chat.look(20, load=70).replicas == 7
    assert chat.look(100, load=0).replicas == 5
    assert at(20, chat, seconds=100).replicas == 2
    assert Watched(0, 8, live=0, cron=JOBS).look(2).replicas == 2, "also from zero"
    assert Watched(1, 4, live=1, cron=JOBS).look().replicas == 2


def test_6_without_a_target_a_firing_sets_the_count_and_a_hand_may_change_it_after() -> None:
    chat = Watched(1, 8, live=1, target=None, cron=JOBS)
    assert at(8, chat).replicas == 5
    chat.set(7)
    assert chat.look(100).replicas == 7
    chat.set(3)
    assert chat.look().replicas == 5, "less than the floor is put back"
    chat.set(7)
    assert at(20, chat).replicas == 2


def test_6_a_job_of_zero_lets_it_sleep_once_it_is_idle() -> None:
    jobs = (JOBS[0], CronJob(schedule="0 20 * * *", replicas=0))
    chat = Watched(0, 8, live=1, target=None, cron=jobs, idle_seconds=60)
    at(8, chat)
    assert chat.look(3000).replicas == 5, "its floor holds although nobody asks"
    assert at(20, chat, load=1).replicas == 1
    assert chat.look(62).replicas == 0


def test_6_of_jobs_that_fire_together_the_larger_counts() -> None:
    jobs = (CronJob(schedule="0 2 * * *", replicas=1), CronJob(schedule="0 2 25 * *", replicas=4))
    assert Watched(1, 8, live=1, cron=jobs).look().replicas == 4


def test_7_replicas_that_do_not_get_ready_are_not_added_to_for_ever() -> None:
    chat = Watched(1, 8, live=1)
    chat.starts = False
    assert chat.look(10, load=20).replicas == 2
    assert chat.look(10, load=60).replicas == 6, "more load asks for more"
    stuck = chat.look(int(STUCK_SECONDS), load=80)
    assert stuck.replicas == 8
    limited = Watched(1, 8, live=2)
    limited.starts, limited.ready = False, 1
    limited.look(int(STUCK_SECONDS) + 2, load=20)
    held = limited.look(20, load=60)
    assert held.replicas == 2
    assert held.reason.startswith("1 of 2 replicas did not get ready for 621 s: no more are added (60 requests")
    limited.ready = 2
    assert limited.look(load=60).replicas == 6


@pytest.mark.parametrize(("low", "high", "load", "replicas"), [(1, 3, 90, 3), (2, 8, 1, 2), (2, 8, 0, 2)])
def test_8_the_bounds_hold(low: int, high: int, load: int, replicas: int) -> None:
    chat = Watched(low, high, live=low, down_seconds=5)
    decision = chat.look(30, load=load)
    assert decision.replicas == replicas
    assert (f"between {low} and {high}" in decision.reason) == (load == 90)


def test_what_was_asked_for_and_is_not_done_yet_is_asked_for_again() -> None:
    chat = Watched(1, 8, live=1)
    chat.obeys = False
    assert [chat.look(load=400).replicas for _ in range(3)] == [8, 8, 8]
