"""What the answers to EAS's checks mean: startup gates, liveness ends, readiness takes out of traffic."""

from __future__ import annotations

import pytest

from runtime.contract.version import Probe
from runtime.host.checks import Checks, Kind, after, begin, is_asked, next_at


def probe(successes: int = 1, failures: int = 1) -> Probe:
    return Probe(http_path="/health", success_threshold=successes, failure_threshold=failures)


def answered(checks: Checks, kind: Kind, answers: str) -> Checks:
    """`+` passes, `-` fails."""
    for answer in answers:
        checks = after(checks, kind, "" if answer == "+" else "GET /health answered 503")
    return checks


def test_without_checks_nothing_is_in_the_way() -> None:
    checks = begin({})
    assert checks.passed and not checks.waits_for
    assert not any(is_asked(checks, kind) for kind in Kind)


def test_the_startup_check_gates_the_others() -> None:
    checks = begin({kind.value: probe() for kind in Kind})
    assert [kind for kind in Kind if is_asked(checks, kind)] == [Kind.STARTUP]
    assert checks.waits_for == "waits for its startup check"
    checks = answered(checks, Kind.STARTUP, "+")
    assert [kind for kind in Kind if is_asked(checks, kind)] == [Kind.LIVENESS, Kind.READINESS]
    assert not checks.passed and checks.waits_for == "waits for its readiness check"
    assert answered(checks, Kind.READINESS, "+").passed


def test_a_startup_check_that_fails_too_often_ends_the_process() -> None:
    checks = begin({"startup": probe(failures=3)})
    checks = answered(checks, Kind.STARTUP, "--")
    assert not checks.dead and checks.waits_for == "waits for its startup check: GET /health answered 503"
    checks = answered(checks, Kind.STARTUP, "-")
    assert checks.dead == "its startup check failed 3 times in a row: GET /health answered 503"
    assert not is_asked(checks, Kind.STARTUP)


@pytest.mark.parametrize(
    ("answers", "dead"), [("--", False), ("---", True), ("--+--", False), ("+++", False), ("--+---", True)]
)
def test_only_failures_in_a_row_end_a_living_process(answers: str, dead: bool) -> None:
    checks = answered(begin({"liveness": probe(failures=3)}), Kind.LIVENESS, answers)
    assert bool(checks.dead) is dead
    assert checks.passed is not dead
    assert checks.waits_for == checks.dead, "a failing liveness check alone takes nothing out of traffic"


@pytest.mark.parametrize(
    ("answers", "ready"),
    [("", False), ("+", False), ("++", True), ("+-+", False), ("++-", True), ("++--", False), ("++--+", False)],
)
def test_readiness_comes_and_goes_by_its_thresholds(answers: str, ready: bool) -> None:
    checks = answered(begin({"readiness": probe(successes=2, failures=2)}), Kind.READINESS, answers)
    assert checks.passed is ready
    assert not checks.dead


def test_a_replica_that_took_traffic_before_goes_on_taking_it() -> None:
    checks = begin({"startup": probe(), "readiness": probe()}, passed_before=True)
    assert checks.passed
    assert not answered(checks, Kind.READINESS, "-").passed


def test_the_first_question_waits_for_the_initial_delay_and_the_next_for_the_period() -> None:
    check = Probe(http_path="/health", initial_delay_seconds=15, period_seconds=10)
    assert next_at(check, spawned_at=100, asked_at=None) == 115
    assert next_at(check, spawned_at=100, asked_at=115) == 125
