"""How many replicas a version should have."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runtime.contract import wanted
from runtime.contract.desired import Version
from runtime.contract.host import Scale, VersionFailure
from runtime.contract.phases import Phase
from runtime.contract.route import RouteTable, RouteVersion
from tests.runtime.host.conftest import record

NOW = 5000.0
VERSION = Version(record=record(minimum=1, maximum=3), live=2)
ROUTE = RouteTable(service="chat", versions={"v1": RouteVersion(hash=VERSION.record.hash, weight=100)})
STOPPED = ROUTE.model_copy(update={"stopped": True})
LEASED = wanted.leased(VERSION, 60, NOW)


@pytest.mark.parametrize(
    ("version", "route", "count"),
    [
        (VERSION, ROUTE, 2),
        (VERSION, None, 2),
        (VERSION, STOPPED, 0),
        (LEASED, STOPPED, 2),
        (replace(LEASED, temporary=0), ROUTE, 0),
        (replace(VERSION, temporary=1, lease_until=NOW - 1), ROUTE, 2),
        (replace(VERSION, swept=True), None, 0),
        (replace(LEASED, deleting=True), None, 0),
        (replace(VERSION, hold_until=NOW + 1), STOPPED, 2),
    ],
)
def test_the_first_matching_rule_says_how_many(version: Version, route: RouteTable | None, count: int) -> None:
    assert wanted.wanted(version, route, NOW) == count


def test_a_live_count_stays_inside_the_bounds() -> None:
    with pytest.raises(wanted.OutOfBounds, match=r"4 is outside the bounds 1 to 3 of chat\.v1"):
        wanted.scaled(VERSION, Scale(replicas=4), routed=True, now=NOW)
    with pytest.raises(wanted.OutOfBounds):
        wanted.scaled(VERSION, Scale(replicas=0), routed=True, now=NOW)
    assert wanted.scaled(VERSION, Scale(replicas=0), routed=False, now=NOW).live == 0
    assert wanted.scaled(VERSION, Scale(replicas=3), routed=True, now=NOW).live == 3


def test_a_temporary_count_needs_a_lease_and_ends_with_it() -> None:
    with pytest.raises(wanted.OutOfBounds, match="needs a lease"):
        wanted.scaled(VERSION, Scale(replicas=0, temporary=True), routed=True, now=NOW)
    recreated = wanted.scaled(LEASED, Scale(replicas=0, temporary=True), routed=True, now=NOW)
    assert wanted.wanted(recreated, ROUTE, NOW) == 0
    assert wanted.wanted(wanted.aged(recreated, ROUTE, NOW + 61), ROUTE, NOW + 61) == 2


def test_a_failed_rollout_of_an_unrouted_version_leaves_nothing_running() -> None:
    failed = wanted.scaled(LEASED, Scale(replicas=0, temporary=True), routed=False, now=NOW)
    assert wanted.released(failed, routed=False, now=NOW).live == 0


def test_a_lease_clears_what_failed_before() -> None:
    failed = replace(VERSION, failure=VersionFailure(phase=Phase.ENGINE, reason="x"), swept=True, orphan_since=1)
    fresh = wanted.leased(failed, 60, NOW)
    assert (fresh.failure, fresh.swept, fresh.orphan_since) == (None, False, None)


def test_a_routed_version_has_at_least_its_minimum() -> None:
    assert wanted.aged(replace(VERSION, live=0), ROUTE, NOW).live == 1
    assert wanted.aged(replace(VERSION, live=0), None, NOW).live == 0


def test_an_orphan_is_swept_after_ten_minutes_and_not_before() -> None:
    orphan = wanted.aged(VERSION, None, NOW)
    assert orphan.orphan_since == NOW
    assert wanted.aged(orphan, None, NOW + 599) == orphan
    swept = wanted.aged(orphan, None, NOW + 600)
    assert (swept.swept, swept.live) == (True, 0)
    assert wanted.aged(swept, None, NOW + 9000) == swept
    routed = wanted.aged(swept, ROUTE, NOW + 9000)
    assert (routed.swept, routed.orphan_since, routed.live) == (False, None, 1)


def test_weight_zero_is_no_orphan() -> None:
    idle = ROUTE.model_copy(update={"versions": {"v1": RouteVersion(hash=VERSION.record.hash, weight=0)}})
    assert wanted.aged(VERSION, idle, NOW).orphan_since is None
