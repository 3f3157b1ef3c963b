"""Target local: sizes, memory, cores, how versions are replaced."""

from __future__ import annotations

import pytest

from infra.plan import Level
from infra.plan.local import contexts
from infra.plan.machine import parse_gpus
from tests.infra.plan.stacks import GIB, machine, plan, rules

CHAT = "services: {chat: {model: SmolLM2-135M-Instruct, replicas: {min: 1, max: 2}}}"


def test_the_default_stack_fits_a_laptop_with_room_for_a_rollout() -> None:
    for gib in (8, 16, 24):
        planned = plan(CHAT, gib=gib)
        assert not planned.findings, planned.findings
        assert planned.services[0].rollout.strategy == "surge"


def test_a_small_machine_gets_a_shorter_context_and_a_large_one_the_models_own() -> None:
    small, large = plan(CHAT, gib=4), plan(CHAT, gib=24)
    assert not small.errors
    assert small.services[0].versions[0].template.context == 2048
    assert large.services[0].versions[0].template.context == 8192


def test_a_replica_bound_or_a_neighbour_never_changes_a_hash() -> None:
    alone = plan(CHAT).services[0].versions[0].hash
    scaled = plan(CHAT.replace("max: 2", "max: 3")).services[0].versions[0].hash
    neighbour = plan(CHAT[:-1] + ", other: {model: SmolLM2-135M-Instruct, concurrency: 4}}")
    assert alone == scaled == next(each for each in neighbour.services if each.name == "chat").versions[0].hash


def test_the_terms_of_a_replica_are_named_and_add_up() -> None:
    version = plan(CHAT).services[0].versions[0]
    terms = {term.name: term.bytes for term in version.terms}
    assert terms["weights"] == 269_030_016
    assert terms["KV cache"] == 2 * 30 * 3 * 64 * 2 * 8192 * 16
    assert set(terms) == {"weights", "KV cache", "activations", "engine"}


def test_too_many_replicas_name_the_bound_that_fits() -> None:
    planned = plan(CHAT.replace("max: 2", "max: 9"))
    [error] = planned.errors
    assert (error.rule, error.path) == ("fit-memory", "services.chat.replicas.max")
    bound = int(error.fix.split()[1])
    assert not plan(CHAT.replace("max: 2", f"max: {bound}")).errors
    assert plan(CHAT.replace("max: 2", f"max: {bound + 1}")).errors


def test_a_declared_context_that_is_too_long_for_the_machine_names_one_that_fits() -> None:
    text = "services: {chat: {model: SmolLM2-135M-Instruct, context: 8192, concurrency: 128}}"
    [error] = plan(text, gib=16).errors
    assert (error.rule, error.path) == ("fit-memory", "services.chat.context")
    assert not plan(text.replace("8192", error.fix.split()[1]), gib=16).errors


def test_a_machine_that_cannot_hold_old_and_new_recreates_and_says_why() -> None:
    planned = plan(CHAT.replace("max: 2", "max: 5"))
    rollout = planned.services[0].rollout
    assert rollout.strategy == "recreate"
    assert "old and new together need" in rollout.reason
    assert rules(planned) == {"rollout-recreate"}


def test_a_declared_surge_without_room_is_refused() -> None:
    text = "services: {chat: {model: SmolLM2-135M-Instruct, replicas: {min: 1, max: 5}, rollout: {strategy: surge}}}"
    [error] = plan(text).errors
    assert (error.rule, error.path) == ("rollout-no-room", "services.chat.rollout.strategy")


def test_a_declared_recreate_is_taken_without_a_word() -> None:
    text = "services: {chat: {model: SmolLM2-135M-Instruct, rollout: {strategy: recreate}}}"
    planned = plan(text)
    assert planned.services[0].rollout.strategy == "recreate"
    assert not planned.findings


def test_cores_that_are_declared_must_be_there() -> None:
    text = "services: {chat: {model: SmolLM2-135M-Instruct, resources: {cpus: 2}, replicas: {min: 1, max: 2}}}"
    [error] = plan(text, on=machine(24, cpus=2)).errors
    assert (error.rule, error.fix) == ("fit-cpus", "cpus: 1")
    assert not plan(text, on=machine(24, cpus=4)).errors


def test_gpus_that_are_declared_must_be_there_and_hold_their_share() -> None:
    text = "services: {chat: {model: SmolLM2-135M-Instruct, method: vllm, resources: {gpus: 1}}}"
    [error] = plan(text).errors
    assert (error.rule, error.fix) == ("fit-gpus", "gpus: 0")
    with_gpu = plan(text, on=machine(24, gpus=2))
    assert not with_gpu.errors
    assert with_gpu.services[0].versions[0].template.gpu_model == "NVIDIA A10"
    declared = text.replace("method", "context: 8192, concurrency: 512, method")
    [too_large] = plan(declared, on=machine(24, gpus=2)).errors
    assert too_large.rule == "fit-memory"
    assert not plan(declared.replace("8192", too_large.fix.split()[1]), on=machine(24, gpus=2)).errors


def test_a_scripted_engine_needs_no_model_and_little_memory() -> None:
    planned = plan("services: {load: {engine: scripted, replicas: {min: 1, max: 8}}}", gib=4)
    version = planned.services[0].versions[0]
    assert version.template.model is None
    assert [term.name for term in version.terms] == ["engine"]
    assert not planned.errors


def test_two_versions_with_the_same_content_are_refused() -> None:
    text = """services: {chat: {versions: {a: {model: SmolLM2-135M-Instruct}, b: {model: SmolLM2-135M-Instruct}},
                               traffic: {a: 50, b: 50}}}"""
    [error] = plan(text).errors
    assert (error.rule, error.path) == ("version-duplicate", "services.chat.versions.b")


def test_groups_and_quotas_are_said_to_be_not_enforced() -> None:
    text = "resourceGroups: {a10: {instanceTypes: [ecs.gn7i-c16g1.4xlarge], nodes: {max: 1}}}\n" + CHAT
    [note] = plan(text).findings
    assert (note.rule, note.level, note.path) == ("not-enforced", Level.NOTE, "resourceGroups.a10")


def test_without_a_machine_nothing_is_said_about_memory() -> None:
    planned = plan(CHAT.replace("max: 2", "max: 900"), gib=None)
    assert not planned.errors
    assert planned.services[0].rollout.strategy == "surge"


@pytest.mark.parametrize(("own", "ladder"), [(8192, [8192, 4096, 2048]), (5000, [5000, 4096, 2048]), (1024, [1024])])
def test_contexts_go_down_in_powers_of_two(own: int, ladder: list[int]) -> None:
    assert list(contexts(own)) == ladder


def test_the_drivers_list_of_gpus_is_read() -> None:
    [first, second] = parse_gpus("NVIDIA A10, 23028\nNVIDIA L20, 46068\n")
    assert (first.name, second.memory_bytes) == ("NVIDIA A10", 46068 * 2**20)
    assert first.memory_bytes < 24 * GIB
