"""Targets kubernetes and eks: places, groups, quotas, rollouts and costs of whole stack files."""

from __future__ import annotations

import re

import pytest

from infra.plan import Deployed, DeployedVersion, Plan, text
from infra.plan.document import VersionPlan
from runtime.contract.version import Bounds
from tests.infra.plan.stacks import pinned, plan, rules

MODELS = (
    "Qwen2.5-0.5B-Instruct Qwen2.5-7B-Instruct Qwen2.5-7B-Instruct-AWQ Qwen2.5-72B-Instruct Qwen3-8B-FP8 "
    "DeepSeek-R1-Distill-Qwen-7B DeepSeek-R1 Qwen2-VL-7B-Instruct gemma-2-9b-it"
)
LOCK = pinned(*MODELS.split())


def on_eks(service: str, *, top: str = "") -> Plan:
    return plan(f"{{target: {{kind: eks}}, {top} services: {{chat: {service}}}}}", lock=LOCK)


def on_group(service: str, *, types: str = "ecs.gn7i-c16g1.4xlarge", nodes: int = 12, quota: str = "") -> Plan:
    quotas = f"quotas: {{nlp: {{resourceGroup: pool, {quota}}}}}," if quota else ""
    where = "quota: nlp" if quota else "group: pool"
    group = f"{{instanceTypes: [{types}], nodes: {{min: 0, max: {nodes}}}}}"
    return plan(
        f"""{{target: {{kind: kubernetes}}, resourceGroups: {{pool: {group}}}, {quotas}
        services: {{chat: {service.replace("HERE", where)}}}}}""",
        lock=LOCK,
    )


def only(planned: Plan) -> VersionPlan:
    return planned.services[0].versions[0]


@pytest.mark.parametrize(
    ("model", "expected", "gpus"),
    [
        ("Qwen2.5-0.5B-Instruct", "g4dn.xlarge", 1),
        ("Qwen2.5-7B-Instruct-AWQ", "g4dn.xlarge", 1),
        ("Qwen3-8B-FP8", "g6.xlarge", 1),  # FP8 needs compute capability 8: no T4
        ("Qwen2.5-7B-Instruct", "g6.xlarge", 1),
        ("Qwen2.5-72B-Instruct", "p4d.24xlarge", 8),
        ("DeepSeek-R1", "p5en.48xlarge", 8),
    ],
)
def test_public_resources_on_eks_take_the_cheapest_type_that_holds_the_model(
    model: str, expected: str, gpus: int
) -> None:
    version = only(on_eks(f"{{model: {model}, method: vllm}}"))
    assert version.placement is not None
    assert (version.placement.instance_type, version.placement.gpus) == (expected, gpus)
    assert version.template.instance_types == (expected,)
    assert "the cheapest of" in version.placement.why


def test_the_choice_is_pinned_by_the_lock_file_and_unpinned_choices_are_said() -> None:
    service = "{model: Qwen2.5-7B-Instruct, method: vllm}"
    assert rules(on_eks(service)) == {"lock-unpinned"}
    lock = LOCK.model_copy(update={"instances": pinned(instances={"eks:chat/main": "g5.2xlarge"}).instances})
    planned = plan(f"{{target: {{kind: eks}}, services: {{chat: {service}}}}}", lock=lock)
    placement = only(planned).placement
    assert placement is not None
    assert placement.instance_type == "g5.2xlarge"
    assert "inferform.lock names it" in placement.why
    assert not planned.findings


def test_a_pinned_type_that_holds_the_version_no_more_is_stale() -> None:
    lock = LOCK.model_copy(update={"instances": pinned(instances={"eks:chat/main": "g4dn.xlarge"}).instances})
    planned = plan("{target: {kind: eks}, services: {chat: {model: Qwen2.5-7B-Instruct, method: vllm}}}", lock=lock)
    [error] = planned.errors
    assert error.rule == "lock-stale"
    assert "inferform lock --upgrade chat/main" in error.fix


def test_listed_types_are_taken_in_their_order() -> None:
    service = (
        "{model: Qwen2.5-7B-Instruct, method: vllm, resources: {instanceTypes: [g4dn.xlarge, g5.2xlarge, g6.xlarge]}}"
    )
    version = only(on_eks(service))
    assert version.placement is not None
    assert version.placement.instance_type == "g5.2xlarge"
    assert version.template.instance_types == ("g5.2xlarge", "g6.xlarge")


def test_spot_costs_at_most_its_limit() -> None:
    listed = "{model: Qwen2.5-7B-Instruct, method: vllm, resources: {instanceTypes: [g5.2xlarge]SPOT}}"
    full, spot = (only(on_eks(listed.replace("SPOT", more))) for more in ("", ", spot: {maxPerHour: 0.5}"))
    assert full.cost is not None
    assert spot.cost is not None
    assert (full.cost.max_per_hour, spot.cost.max_per_hour) == (1.212, 0.5)
    assert full.hash == spot.hash  # a price starts nothing anew


def test_an_unknown_type_is_accepted_with_a_warning() -> None:
    planned = on_eks("{model: Qwen2.5-7B-Instruct, method: vllm, resources: {instanceTypes: [g6.xlarg]}}")
    [warning] = planned.findings
    assert warning.rule == "instance-unknown"
    assert "did you mean g6.xlarge?" in warning.fix
    assert only(planned).template.instance_types == ("g6.xlarg",)


@pytest.mark.parametrize(
    ("service", "path", "fix"),
    [
        (
            "{model: Qwen2.5-7B-Instruct, method: vllm, context: 32768, concurrency: 16, resources: {HERE}}",
            "context",
            r"context: 4096",
        ),
        ("{model: gemma-2-9b-it, method: vllm, context: 8192, concurrency: 4, resources: {HERE}}", "", ""),
        ("{model: Qwen2.5-72B-Instruct, method: vllm, resources: {HERE}}", "resources", r"instanceTypes: \[.+\]"),
        (
            "{model: Qwen2.5-7B-Instruct, method: vllm, context: 4096, concurrency: 64, resources: {HERE}}",
            "c",
            r"con\w+: \d+",
        ),
    ],
)
def test_a_misfit_comes_with_the_smallest_change_and_the_change_passes(service: str, path: str, fix: str) -> None:
    planned = on_group(service)
    [error] = [error for error in planned.errors if error.rule == "fit-memory"]
    assert path in error.path.removeprefix("services.chat")
    assert re.search(fix, error.fix)
    key, _, value = error.fix.partition(": ")
    if key in ("context", "concurrency"):
        changed = re.sub(rf"{key}: \d+", f"{key}: {value}", service)
        assert not [error for error in on_group(changed).errors if error.rule == "fit-memory"]


def test_the_type_that_is_proposed_holds_the_version() -> None:
    [error] = on_eks("{model: Qwen2.5-72B-Instruct, method: vllm, resources: {instanceTypes: [g5.xlarge]}}").errors
    proposed = on_eks(f"{{model: Qwen2.5-72B-Instruct, method: vllm, resources: {{{error.fix}}}}}")
    assert not proposed.errors


def test_a_group_that_is_too_small_names_the_nodes_it_needs() -> None:
    service = "{model: Qwen2.5-7B-Instruct, method: vllm, resources: {HERE}, replicas: {min: 1, max: 4}}"
    [error] = on_group(service, nodes=3).errors
    assert (error.rule, error.path, error.fix) == ("group-too-small", "resourceGroups.pool.nodes.max", "max: 4")
    assert not on_group(service, nodes=4).errors


def test_a_group_that_must_be_packed_well_is_a_warning() -> None:
    planned = plan(
        """{target: {kind: kubernetes},
        resourceGroups: {pool: {instanceTypes: [ecs.gn7i-4x.16xlarge], nodes: {max: 2}}},
        services: {small: {model: Qwen2.5-0.5B-Instruct, method: vllm, replicas: {max: 4},
                           resources: {group: pool, gpus: 1}},
                   large: {model: Qwen2.5-7B-Instruct, method: vllm, resources: {group: pool, gpus: 4}}}}""",
        lock=LOCK,
    )
    [row] = planned.headroom
    assert row.verdict == "fits only if packed well"
    assert "group-tight" in rules(planned)


def test_room_only_below_the_maximum_is_said() -> None:
    planned = on_group(
        "{model: Qwen2.5-7B-Instruct, method: vllm, resources: {HERE}, replicas: {min: 1, max: 4}}", nodes=5
    )
    assert rules(planned) == {"rollout-tight"}
    assert planned.services[0].rollout.strategy == "surge"


def test_a_full_group_recreates() -> None:
    planned = on_group("{model: Qwen2.5-7B-Instruct, method: vllm, resources: {HERE}}", nodes=1)
    assert planned.services[0].rollout.strategy == "recreate"
    assert rules(planned) == {"rollout-recreate"}
    refused = on_group(
        "{model: Qwen2.5-7B-Instruct, method: vllm, resources: {HERE}, rollout: {strategy: surge}}", nodes=1
    )
    assert rules(refused) == {"rollout-no-room"}


def test_a_quota_holds_every_version_at_its_maximum() -> None:
    service = """{method: vllm, resources: {HERE}, traffic: {a: 100, b: 0}, versions: {
        a: {model: Qwen2.5-7B-Instruct, replicas: {min: 1, max: 3}}, b: {model: DeepSeek-R1-Distill-Qwen-7B}}}"""
    [error] = on_group(service, quota="gpus: 3").errors
    assert (error.rule, error.path) == ("quota-exceeded", "quotas.nlp.gpus")
    assert "chat/a 3, chat/b 1" in error.text
    assert not on_group(service, quota="gpus: 4").errors


def test_fractions_of_a_gpu_share_it() -> None:
    service = """{model: Qwen2.5-0.5B-Instruct, method: vllm, context: 4096, replicas: {min: 2, max: 4},
        resources: {HERE, gpuFraction: 0.5}}"""
    planned = on_group(service, nodes=2)
    assert not planned.errors
    [row] = planned.headroom
    assert row.used == 2
    assert only(planned).cost is not None


def test_bladellm_warns_below_its_rule_of_thumb_and_the_sum_of_terms_decides() -> None:
    planned = on_group("{model: Qwen2.5-7B-Instruct, method: bladellm, resources: {HERE}}")
    assert "bladellm-weights" in rules(planned)
    assert not planned.errors


def test_the_difference_to_what_serves_is_shown() -> None:
    serving = Deployed(
        services={"chat": (DeployedVersion(name="main", hash="x", bounds=Bounds(min=1, max=1), usd_per_hour=2.0),)}
    )
    planned = plan(
        """{target: {kind: eks},
        services: {chat: {model: Qwen2.5-7B-Instruct, method: vllm, replicas: {min: 1, max: 2}}}}""",
        lock=LOCK,
        deployed=serving,
    )
    assert planned.cost_difference is not None
    assert planned.cost_difference.min_per_hour == pytest.approx(0.8048 - 2.0)
    assert planned.cost_difference.max_per_hour == pytest.approx(2 * 0.8048 - 2.0)


def test_idle_nodes_of_a_group_are_in_the_stacks_cost() -> None:
    base = """{target: {kind: eks}, resourceGroups: {pool: {instanceTypes: [g6.xlarge], nodes: {min: MIN, max: 4}}},
        services: {chat: {model: Qwen2.5-7B-Instruct, method: vllm, resources: {group: pool}}}}"""
    without, with_two = (plan(base.replace("MIN", n), lock=LOCK).costs["stack"] for n in ("0", "2"))
    assert without.min_per_hour == pytest.approx(0.8048)
    assert with_two.min_per_hour == pytest.approx(2 * 0.8048)


def test_the_text_of_a_cluster_plan_fits_100_columns() -> None:
    shown = text(on_eks("{model: Qwen2.5-7B-Instruct, method: vllm, replicas: {min: 0, max: 4}}"))
    assert all(len(line) <= 100 for line in shown.splitlines() if " services." not in line)
    assert "0.00..3.22" in shown
    assert "prices of us-east-1" in shown


def test_a_split_is_written_into_the_engines_arguments() -> None:
    template = only(on_eks("{model: Qwen2.5-72B-Instruct, method: vllm}")).template
    assert template.engine_args == {"tensorParallelSize": 8}
    assert (template.gpus, template.gpu_model) == (8, "NVIDIA A100 40 GB")


def test_a_scripted_engine_runs_on_cores() -> None:
    version = only(on_eks("{engine: scripted, resources: {instanceTypes: [c7i.2xlarge]}}"))
    assert version.placement is not None
    assert (version.placement.gpus, version.placement.cpus) == (0, 0.5)
