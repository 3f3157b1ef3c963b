"""What holds for every plan: determinism, order of keys, monotonic cost, and no "fits" that a slow checker denies."""

from __future__ import annotations

import math
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.plan import Plan, text, to_data
from infra.plan.architecture import read
from infra.plan.document import VersionPlan
from tests.infra.plan.stacks import CATALOG, machine, pinned, plan

MODELS = (
    "SmolLM2-135M-Instruct",
    "Qwen2.5-0.5B-Instruct",
    "Qwen2.5-7B-Instruct",
    "Qwen2.5-14B-Instruct-AWQ",
    "Llama-3.1-8B-Instruct",
    "gemma-2-9b-it",
    "Qwen2.5-72B-Instruct",
    "DeepSeek-V3",
    "Qwen2-VL-7B-Instruct",
    "Qwen3-30B-A3B",
)
LOCK = pinned(*(name for name in MODELS if not CATALOG.models[name].embedded))
TYPES = ("ecs.gn7i-c16g1.4xlarge", "ecs.gn7i-4x.16xlarge", "ecs.gn8is-2x.8xlarge", "ecs.gn7e-c16g1.16xlarge")


@st.composite
def services(draw: st.DrawFn, *, local: bool) -> dict[str, Any]:
    low = draw(st.integers(0, 2))
    service: dict[str, Any] = {
        "model": draw(st.sampled_from(MODELS[:3] if local else MODELS)),
        "method": "standard" if local else "vllm",
        "replicas": {"min": low, "max": max(1, low + draw(st.integers(0, 3)))},
    }
    if draw(st.booleans()):
        service["context"] = draw(st.sampled_from([1024, 2048, 4096, 8192]))
    if draw(st.booleans()):
        service["concurrency"] = draw(st.integers(1, 64))
    if service["model"] == "Qwen2-VL-7B-Instruct" and local:
        service["model"] = MODELS[0]
    if not local:
        service["resources"] = draw(st.sampled_from([{"group": "pool"}, {"quota": "team"}, {}]))
    service["rollout"] = {"strategy": draw(st.sampled_from(["auto", "auto", "recreate", "surge"]))}
    return service


@st.composite
def stacks(draw: st.DrawFn, *, local: bool) -> dict[str, Any]:
    count = draw(st.integers(1, 4))
    made: dict[str, Any] = {"services": {f"service_{n}": draw(services(local=local)) for n in range(count)}}
    if not local:
        made["target"] = {"kind": draw(st.sampled_from(["kubernetes", "eks"]))}
        nodes = draw(st.integers(0, 6))
        made["resourceGroups"] = {"pool": {"instanceTypes": [draw(st.sampled_from(TYPES))], "nodes": {"max": nodes}}}
        made["quotas"] = {"team": {"resourceGroup": "pool", "gpus": draw(st.integers(0, 24))}}
    return made


def planned(made: dict[str, Any], gib: float = 24) -> Plan:
    return plan(yaml.safe_dump(made, sort_keys=False), lock=LOCK, on=machine(gib, cpus=4))


def reversed_keys(data: Any) -> Any:
    """The same mapping with every key order turned round."""
    if isinstance(data, dict):
        return {key: reversed_keys(data[key]) for key in reversed(list(data))}
    return data


FAST = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@FAST
@given(st.booleans().flatmap(lambda local: stacks(local=local)))
def test_a_plan_is_the_same_whatever_the_order_of_keys(made: dict[str, Any]) -> None:
    one, other = planned(made), planned(reversed_keys(made))
    assert to_data(one) == to_data(other)
    assert text(one) == text(other)


@FAST
@given(stacks(local=False))
def test_cost_never_falls_when_a_bound_rises(made: dict[str, Any]) -> None:
    before = planned(made)
    for service in made["services"].values():
        service["replicas"]["max"] += 1
    after = planned(made)
    for name, cost in before.costs.items():
        low, high = cost.min_per_hour, cost.max_per_hour
        new = after.costs[name]
        assert low == new.min_per_hour
        assert high is None or (new.max_per_hour is not None and new.max_per_hour >= high)


def least_bytes(version: VersionPlan) -> float:
    """What one device must hold at the very least, added up head by head: weights and cache, nothing else."""
    assert version.template.model is not None
    model = CATALOG.models[version.template.model.name]
    arch = read(model.config)
    place = version.placement
    tensor, pipeline = (place.tensor, place.pipeline) if place else (1, 1)
    tokens = (version.template.context or 0) * version.template.concurrency
    weights = model.weight_bytes / (tensor * pipeline)
    layers = math.ceil(arch.layers / pipeline)
    cache = 0.0
    for layer in range(layers):
        if arch.latent:
            cache += arch.latent * arch.width * tokens
        elif layer * arch.layers // layers < arch.layers - arch.window_layers:
            cache += max(1, arch.kv_heads / tensor) * 2 * arch.head_size * arch.width * tokens
    return weights + cache * (0.0 if arch.window_layers else 1.0)


@FAST
@given(stacks(local=False))
def test_what_is_placed_on_a_gpu_fits_it_and_what_passes_fits_its_nodes(made: dict[str, Any]) -> None:
    result = planned(made)
    taken = 0.0
    for service in result.services:
        for version in service.versions:
            place = version.placement
            if place is None:
                assert any(finding.path.startswith(f"services.{service.name}") for finding in result.errors)
                continue
            instance = CATALOG.instances[place.instance_type]
            assert instance.gpu is not None
            memory = CATALOG.gpus[instance.gpu].memory_mib * 2**20
            assert least_bytes(version) <= memory
            assert sum(term.bytes for term in version.terms) <= place.room_bytes <= memory
            assert place.gpus <= instance.gpus
            assert place.cpus <= instance.vcpus
            assert place.memory_gib <= instance.memory_gib
            if place.group:
                taken += version.bounds.max * place.gpus / instance.gpus
    if not result.errors:
        assert taken <= made["resourceGroups"]["pool"]["nodes"]["max"] + 1e-9


@FAST
@given(stacks(local=False))
def test_a_surge_always_has_room_for_one_more_replica_of_the_largest_kind(made: dict[str, Any]) -> None:
    result = planned(made)
    if result.errors:
        return
    capacity = made["resourceGroups"]["pool"]["nodes"]["max"]
    quota = made["quotas"]["team"]["gpus"]
    for service in result.services:
        placed = [(s is service, v) for s in result.services for v in s.versions if v.placement and v.placement.group]
        own = [version for version in service.versions if version.placement and version.placement.group]
        if service.rollout.strategy != "surge" or not own:
            continue
        per_node = CATALOG.instances[own[0].placement.instance_type].gpus if own[0].placement else 1
        gpus = 0.0
        for mine, version in placed:  # not by equality: another service's version may be an equal one
            assert version.placement is not None
            count = 2 * max(1, version.bounds.min) if mine else version.bounds.max
            gpus += count * version.placement.gpus
            if mine and version.placement.quota:
                assert 2 * max(1, version.bounds.min) * version.placement.gpus <= quota
        assert gpus <= capacity * per_node


@FAST
@given(stacks(local=True), st.sampled_from([2.0, 4.0, 8.0, 16.0, 64.0]))
def test_what_passes_on_a_machine_fits_its_memory_at_maximum(made: dict[str, Any], gib: float) -> None:
    result = planned(made, gib)
    if not result.errors:
        versions = [version for service in result.services for version in service.versions]
        assert sum(least_bytes(version) * version.bounds.max for version in versions) <= gib * 2**30
