"""Counters of gateways that come, go and begin anew."""

from __future__ import annotations

from typing import Any

from runtime.contract.activity import GatewayActivity, VersionCounts
from runtime.gateway.autoscale.ledger import Key, Ledger
from runtime.gateway.autoscale.measure import Sample

V1: Key = ("chat", "V1")


def says(gateway: str, **counts: Any) -> GatewayActivity:
    return GatewayActivity(gateway=gateway, services={"chat": {"V1": VersionCounts(**counts)}})


def take(ledger: Ledger, *activities: GatewayActivity) -> Sample:
    return ledger.take(activities, [V1], 1.0)[V1]


def test_what_was_counted_before_the_first_look_is_history() -> None:
    ledger = Ledger()
    assert take(ledger, says("one", requests=500)).requests == 0
    assert take(ledger, says("one", requests=503)).requests == 3


def test_gateways_add_up_and_one_that_joins_or_leaves_is_no_burst() -> None:
    ledger = Ledger()
    take(ledger, says("one", requests=10))
    together = take(ledger, says("one", requests=12, in_flight=1), says("two", requests=900, in_flight=2, held=0.5))
    assert (together.requests, together.in_flight, together.held) == (2, 3, 0.5)
    assert take(ledger, says("one", requests=13), says("two", requests=904)).requests == 7
    assert take(ledger, says("one", requests=14)).requests == 8
    assert take(ledger, says("one", requests=14), says("two", requests=10)).requests == 8


def test_the_first_request_of_a_new_version_counts() -> None:
    ledger = Ledger()
    take(ledger, GatewayActivity(gateway="one"))
    assert take(ledger, says("one", requests=1, wishes=2, ttft_count=1, ttft_ms=9.0)) == Sample(
        at=1.0, requests=1, wishes=2, ttft_count=1, ttft_ms=9.0
    )


def test_counters_that_began_anew_do_not_go_backwards() -> None:
    ledger = Ledger()
    take(ledger, says("one", requests=100))
    assert take(ledger, says("one", requests=4)).requests == 4
