"""What runs recorded stands beside the estimates, and decides nothing."""

from __future__ import annotations

from dataclasses import replace

from infra.measured import Measured
from infra.plan import Plan, text, to_data, with_measured
from infra.plan.measured import machine_place
from tests.infra.plan.stacks import machine, plan

LOCAL = "services: {chat: {model: SmolLM2-135M-Instruct, replicas: {min: 0, max: 1}}}"
EKS = """
target: {kind: kubernetes}
services: {chat: {model: Qwen2.5-7B-Instruct, method: vllm, resources: {instanceTypes: [g5.xlarge]}}}
"""


def ran(planned: Plan, place: str, **more: int) -> dict[str, Measured]:
    version = planned.services[0].versions[0]
    seconds = {"image": 3.0, "weights": 0.4, "engine": 1.25, "firstToken": 0.25}
    new = Measured(
        hash=version.hash, service="chat", version="main", place=place, date="2026-11-25", seconds=seconds, **more
    )
    return {new.key: new}


def said(planned: Plan) -> str:
    return " ".join(text(planned).split())


def test_a_measured_start_comes_before_the_estimate() -> None:
    here = machine(24, cpus=2)
    before = plan(LOCAL, on=here)
    after = with_measured(before, ran(before, machine_place(here), memory_bytes=2**29), here)
    assert "after 4.9 s (image 3 + weights 0.4 + engine 1.2 + first token 0.2)" in said(after)
    assert "measured 2026-11-25 on 2 cores, 24.0 GiB; the estimate is 11 s" in said(after)
    assert "chat/main: a replica took 0.50 GiB at most so far" in said(after)
    assert "Memory and times are estimates, 1 of 1 version measured." in said(after)
    assert to_data(after)["services"][0]["versions"][0]["measured"]["memoryBytes"] == 2**29


def test_another_machine_or_another_version_measured_something_else() -> None:
    here, elsewhere = machine(24, cpus=2), machine(24, cpus=8)
    before = plan(LOCAL, on=here)
    assert with_measured(before, ran(before, machine_place(elsewhere)), here) == before
    changed = plan("services: {chat: {model: SmolLM2-135M-Instruct, context: 512}}", on=here)
    assert with_measured(changed, ran(before, machine_place(here)), here) == changed


def test_on_a_cluster_the_place_is_the_instance_type_and_memory_is_the_gpus() -> None:
    before = plan(EKS, gib=None)
    after = with_measured(before, ran(before, "g5.xlarge", gpu_memory_bytes=20 * 2**30), None)
    assert "measured 2026-11-25 on g5.xlarge" in said(after)
    assert "chat/main: a GPU held 20.0 GiB at most so far, measured on g5.xlarge" in said(after)


def test_it_changes_no_decision() -> None:
    here = machine(24, cpus=2)
    before = plan(LOCAL, on=here)
    after = with_measured(before, ran(before, machine_place(here)), here)
    [service] = after.services
    bare = replace(service, versions=tuple(replace(version, measured=None) for version in service.versions))
    assert replace(after, services=(bare,)) == before
