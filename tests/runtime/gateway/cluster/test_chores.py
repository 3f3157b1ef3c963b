"""What the leading gateway does about a version: rows, Deployments and time as a table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runtime.contract.desired import Version
from runtime.contract.host import VersionFailure
from runtime.contract.phases import Phase
from runtime.contract.route import RouteTable
from runtime.gateway.cluster.chores import Counts, Memory, Work, counts, decide
from tests.runtime.gateway.cluster.things import deployment, route, version

NOW = 1000.0
ROUTED, UNROUTED = route(), route(routed=False)
STOPPED = route(stopped=True)
SETTLED, NEW = Memory(settled=2), Memory()


def work(row: Version, table: RouteTable | None, has: int | None, memory: Memory = NEW, ready: int = 0) -> Work:
    return decide(row, table, None if has is None else Counts(has, ready), memory, NOW)[0]


@pytest.mark.parametrize(
    ("row", "table", "has", "memory", "expected"),
    [
        # row and Deployment agree
        (version(live=2), ROUTED, 2, NEW, Work()),
        (version(live=2), ROUTED, None, NEW, Work()),
        # the row has changed, or a change was left half done: scale
        (version(live=2), ROUTED, 1, NEW, Work(replicas=2)),
        (version(live=3), ROUTED, 2, SETTLED, Work(replicas=3)),
        # born with one replica, never leased: it counts for nothing
        (version(live=0, orphan_since=NOW), None, 1, NEW, Work(replicas=0)),
        # a lease's temporary count holds, whatever the bounds say
        (version(live=2, temporary=0, lease_until=NOW + 9), ROUTED, 2, SETTLED, Work(replicas=0)),
        # stopped: to zero; the row keeps its live count
        (version(live=2), STOPPED, 2, SETTLED, Work(replicas=0)),
        (version(live=2), STOPPED, 0, Memory(settled=0), Work()),
        # being deleted: to zero
        (version(live=2, deleting=True), ROUTED, 2, SETTLED, Work(replicas=0)),
        # another hand outside the bounds: put back, after another look at the row
        (version(live=2), ROUTED, 9, SETTLED, Work(replicas=2, confirm=True)),
        (version(live=2), ROUTED, 0, SETTLED, Work(replicas=2, confirm=True)),
        (version(live=2), STOPPED, 1, Memory(settled=0), Work(replicas=0, confirm=True)),
        # we asked for this one ourselves, the row has moved on meanwhile
        (version(live=2), ROUTED, 3, Memory(settled=2, asked=3), Work(replicas=2)),
        # asked a moment ago: it shows soon
        (version(live=3), ROUTED, 2, Memory(settled=2, asked=3, asked_at=NOW - 1), Work()),
        (version(live=3), ROUTED, 2, Memory(settled=2, asked=3, asked_at=NOW - 9), Work(replicas=3)),
    ],
)
def test_a_deployment_follows_its_row(
    row: Version, table: RouteTable | None, has: int | None, memory: Memory, expected: Work
) -> None:
    assert work(row, table, has, memory) == expected


def test_another_hands_count_inside_the_bounds_becomes_the_live_count() -> None:
    found = work(version(live=2), ROUTED, 3, SETTLED)
    assert found.replicas is None
    assert found.row is not None
    assert (found.row.live, found.row.because) == (3, "set to 3 by another hand than ours")


def test_while_a_rollout_has_it_another_hands_count_is_put_back() -> None:
    assert work(version(live=2, lease_until=NOW + 9), ROUTED, 3, SETTLED) == Work(replicas=2, confirm=True)


@pytest.mark.parametrize(
    ("row", "table", "has", "memory", "live", "replicas"),
    [
        (version(live=2, by="hpa"), ROUTED, 3, SETTLED, 3, None),  # the live count follows
        (version(live=2, by="hpa"), ROUTED, 9, SETTLED, None, None),  # also where we may not follow
        (version(live=2, by="hpa"), ROUTED, 3, NEW, 3, None),  # a new leader believes the HPA
        (version(live=3, by="hpa"), ROUTED, 2, SETTLED, None, 3),  # a rollout has seeded
        (version(live=2, by="hpa"), ROUTED, 0, SETTLED, None, 2),  # it sleeps at zero
        (version(0, live=2, by="keda"), ROUTED, 0, SETTLED, 0, None),  # KEDA's own zero
        (version(live=2, by="keda"), STOPPED, 2, SETTLED, None, 0),
    ],
)
def test_a_count_that_belongs_to_an_autoscaler_of_the_cluster_is_left_alone(
    row: Version, table: RouteTable, has: int, memory: Memory, live: int | None, replicas: int | None
) -> None:
    found = work(row, table, has, memory)
    assert (found.row.live if found.row is not None else None, found.replicas) == (live, replicas)


def test_a_lease_that_ran_out_and_an_orphan_are_written_down() -> None:
    ran_out = work(version(0, live=0, temporary=1, lease_until=NOW - 1), ROUTED, 1)
    assert ran_out.row is not None
    assert (ran_out.row.lease_until, ran_out.row.temporary, ran_out.replicas) == (0, None, 0)
    orphan = work(version(live=2), UNROUTED, 2)
    assert orphan.row is not None
    assert orphan.row.orphan_since == NOW
    swept = work(version(live=2, orphan_since=NOW - 601), UNROUTED, 2)
    assert swept.row is not None
    assert (swept.row.swept, swept.replicas) == (True, 0)


@pytest.mark.parametrize(("ready", "over"), [(1, False), (2, True)])
def test_a_failure_is_over_when_every_replica_is_ready(ready: int, over: bool) -> None:
    row = version(live=2, failure=VersionFailure(phase=Phase.ENGINE, reason="x"))
    found = work(row, ROUTED, 2, SETTLED, ready=ready)
    assert (found.row == replace(row, failure=None)) is over


def test_counts_of_a_deployment() -> None:
    assert counts(None) is None
    assert counts(deployment(2, 1)) == Counts(2, 1)
    assert counts({"spec": {}}) == Counts(1, 0)
