"""Dollars per hour at minimum and maximum, and against what serves now."""

from __future__ import annotations

from infra.plan.cost import difference, idle_nodes, together, version_cost
from infra.plan.document import Cost, Deployed, DeployedVersion
from infra.plan.text import money
from runtime.contract.version import Bounds


def test_a_version_costs_its_replicas() -> None:
    assert version_cost(1.5, 1, 4, stopped=False) == Cost(min_per_hour=1.5, max_per_hour=6.0)
    assert version_cost(None, 0, 4, stopped=False) == Cost(min_per_hour=0.0, max_per_hour=None)
    assert version_cost(None, 1, 4, stopped=True).max_per_hour == 0


def test_a_sum_with_an_unknown_price_is_unknown_and_says_what_is_known() -> None:
    total = together([Cost(min_per_hour=1.0, max_per_hour=2.0), Cost(min_per_hour=0.0, max_per_hour=None)])
    assert (total.min_per_hour, total.max_per_hour) == (1.0, None)
    assert total.note == "1 version without a price, the others 1.00 to 2.00 USD/h"
    assert money(total) == "1.00..?"


def test_idle_nodes_of_a_groups_minimum_are_paid_for() -> None:
    assert idle_nodes(2.0, nodes=3, used=1.5).min_per_hour == 3.0
    assert idle_nodes(2.0, nodes=1, used=4).min_per_hour == 0


def test_a_month_has_730_hours() -> None:
    assert Cost(min_per_hour=1.0, max_per_hour=None).monthly() == (730.0, None)


def test_the_difference_is_unknown_until_it_is_known_what_serves() -> None:
    assert difference([], None) is None
    now = Deployed(
        services={"chat": (DeployedVersion(name="v1", hash="a", bounds=Bounds(min=1, max=2), usd_per_hour=1.0),)}
    )
    cost = difference([], now)
    assert cost is not None
    assert (cost.min_per_hour, cost.max_per_hour) == (-1.0, -2.0)
