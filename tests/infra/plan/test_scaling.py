"""What a version says about scaling, and whether it does anything."""

from __future__ import annotations

import pytest

from runtime.contract.scaling import ScaleMetric, ScaleTarget
from tests.infra.plan.stacks import plan


def chat(replicas: str, more: str = "") -> str:
    return f"services: {{chat: {{engine: scripted, replicas: {{{replicas}}}{more}}}}}"


@pytest.mark.parametrize(
    ("replicas", "key", "fix"),
    [
        ("target: {qps: 10}", "target", "replicas.max: 2 or more"),
        ('min: 2, max: 2, cron: [{schedule: "0 8 * * *", replicas: 2}]', "cron", "replicas.max: 3 or more"),
        ("min: 1, max: 4, idleSeconds: 60", "idleSeconds", "replicas.min: 0"),
        ("min: 1, max: 4, activation: 2", "activation", "replicas.min: 0"),
        ("min: 0, max: 4, scaleUpSeconds: 9", "scaleUpSeconds", "replicas.target, for example {concurrency: 8}"),
        ("min: 0, max: 4, scaleDownSeconds: 9", "scaleDownSeconds", "replicas.target, for example {concurrency: 8}"),
    ],
)
def test_a_key_that_does_nothing_is_a_warning_with_what_would(replicas: str, key: str, fix: str) -> None:
    [warning] = plan(chat(replicas)).findings
    assert (warning.rule, warning.path, warning.fix) == ("scale-nothing", f"services.chat.replicas.{key}", fix)
    assert warning.text.endswith(f"; {key} does nothing")


@pytest.mark.parametrize(
    "replicas",
    [
        "min: 1, max: 4",
        "min: 1, max: 4, target: {qps: 10}, scaleUpSeconds: 9",
        "min: 0, max: 4, idleSeconds: 60, activation: 2",
        'min: 1, cron: [{schedule: "0 8 * * *", replicas: 2}]',
    ],
)
def test_a_key_that_does_something_is_none(replicas: str) -> None:
    assert not plan(chat(replicas)).findings


def test_how_a_version_scales_is_in_the_plan_and_not_in_its_hash() -> None:
    before, after = plan(chat("min: 1, max: 4")), plan(chat("min: 0, max: 8, target: {queue: 3}, scaleDownSeconds: 60"))
    [old], [new] = before.services[0].versions, after.services[0].versions
    assert old.hash == new.hash
    assert new.scaling.target == ScaleTarget(metric=ScaleMetric.QUEUE, value=3)
    assert (new.scaling.down_seconds, new.scaling.by) == (60, "gateway")
