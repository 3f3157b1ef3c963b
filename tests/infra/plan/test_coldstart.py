"""The start as a sum of phases with their assumptions."""

from __future__ import annotations

from infra.plan.coldstart import estimate
from tests.infra.plan.stacks import CATALOG, plan


def phases(source: str, *, instance: str | None = "g5.xlarge", new_node: bool = True) -> dict[str, float]:
    start = estimate(
        engine=CATALOG.engines["vllm"],
        weight_bytes=15_000_000_000,
        source=source,
        speeds=CATALOG.speeds,
        instance=CATALOG.instances[instance] if instance else None,
        new_node=new_node,
        gpu=True,
    )
    assert all(phase.note for phase in start.phases)
    return {phase.phase: phase.seconds for phase in start.phases}


def test_a_hub_is_slower_than_a_bucket_and_a_bucket_than_a_disk() -> None:
    hub, bucket, disk = phases("hf://a/b"), phases("s3://a/b"), phases("/models/b")
    assert hub["weights"] > bucket["weights"] > disk["weights"] > 0


def test_a_new_node_takes_minutes_and_this_machine_nothing() -> None:
    assert phases("hf://a/b")["schedule"] > 100
    assert phases("hf://a/b", new_node=False)["schedule"] < 10
    assert phases("hf://a/b", instance=None)["schedule"] == 0


def test_scaling_to_zero_warns_when_a_request_is_not_held_that_long() -> None:
    text = "services: {chat: {model: SmolLM2-135M-Instruct, replicas: {min: 0, max: 1}, limits: {holdSeconds: 5}}}"
    [warning] = plan(text).findings
    assert warning.rule == "cold-start-hold"
    assert "limits.holdSeconds: 30" in warning.fix
    assert not plan(text.replace("holdSeconds: 5", "holdSeconds: 30")).findings
    assert not plan(text.replace("min: 0", "min: 1")).findings
