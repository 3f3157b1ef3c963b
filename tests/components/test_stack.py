"""Stack: from a stack file's keys to declared resources."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from components import GpuNodePool, ModelService, Stack
from components.errors import Refused
from tests.components.conftest import Program


def scripted(text: str = "one", **changes: Any) -> dict[str, Any]:
    return {"engine": "scripted", "engineArgs": {"text": text}, **changes}


def services(**declared: Any) -> dict[str, Any]:
    return {"services": declared}


def test_a_service_is_declared_from_its_token_to_its_route(program: Program) -> None:
    stack = program(lambda: Stack("dev", services(chat=scripted(replicas={"min": 1, "max": 2}))))
    made = program.declared
    [version] = made.of("Version").values()
    hash = version.inputs["hash"]
    assert version.name == f"chat-{hash}"
    assert version.inputs["replicas"] == {"min": 1, "max": 2}
    assert "scaling" not in version.inputs, "as usual, it goes without saying"
    assert version.inputs["state"] == str(program.folder / ".inferform" / "dev")
    assert set(made.of("Rollout")) == {version.name}
    assert f"{version.name}:Version" in made.of("Rollout")[version.name].depends_on
    assert "chat:Token" in made.of("Rollout")[version.name].depends_on
    assert f"{version.name}:Rollout" in made.of("Route")["chat"].depends_on
    assert made.of("Route")["chat"].inputs["versions"] == {"main": {"hash": hash, "weight": 100}}
    assert stack.services["chat"]["versions"] == {"main": hash}


def test_how_a_version_scales_is_an_input_and_no_part_of_its_identity(program: Program) -> None:
    program(lambda: Stack("dev", services(chat=scripted(replicas={"min": 0, "max": 4}))))
    [before] = program.declared.of("Version").values()
    replicas = {"min": 0, "max": 4, "target": {"qps": 10}, "scaleDownSeconds": 60, "idleSeconds": 600}
    program(lambda: Stack("dev", services(chat=scripted(replicas=replicas))))
    after = program.declared.of("Version")[before.name]
    assert after.inputs["scaling"] == {"target": {"metric": "qps", "value": 10}, "downSeconds": 60}
    assert after.inputs["template"] == before.inputs["template"]


def test_the_token_reaches_the_rollout_and_the_output(program: Program) -> None:
    seen: list[Any] = []
    stack = program(lambda: Stack("dev", services(chat=scripted())))
    [rollout] = program.declared.of("Rollout").values()
    assert rollout.inputs["token"] == "token of chat"
    program(lambda: pulumi.Output.all(stack.services["chat"]["endpoint"]).apply(seen.extend))
    assert seen == ["http://127.0.0.1:8070/api/predict/chat"]


def test_the_edited_line_is_in_the_props_of_the_service(program: Program) -> None:
    declared = scripted(replicas={"min": 1, "max": 2})
    program(lambda: Stack("dev", services(chat=declared)))
    assert program.declared.of("ModelService")["chat"].inputs == declared


def test_traffic_between_two_versions_is_the_routes_alone(program: Program) -> None:
    both = {"v1": scripted("one"), "v2": scripted("two")}
    program(lambda: Stack("dev", services(chat={"versions": both, "traffic": {"v1": 90, "v2": 10}})))
    route = program.declared.of("Route")["chat"]
    assert {name: version["weight"] for name, version in route.inputs["versions"].items()} == {"v1": 90, "v2": 10}
    assert sorted(made.inputs["share"] for made in program.declared.of("Rollout").values()) == [10, 90]


def test_independent_services_do_not_wait_for_each_other(program: Program) -> None:
    program(lambda: Stack("dev", services(one=scripted("1"), two=scripted("2"))))
    for made in program.declared.made:
        if made.name.startswith("one"):
            assert not any(name.startswith("two") for name in made.depends_on)


def test_all_errors_of_the_file_come_at_once_and_nothing_is_declared(program: Program) -> None:
    bad = services(chat=scripted(engin="x"), c={"engine": "scripted"})
    with pytest.raises(Refused) as raised:
        program(lambda: Stack("dev", bad))
    assert "services.chat.engin" in str(raised.value)
    assert "services.c" in str(raised.value)
    assert program.declared.made == []


def test_errors_of_the_plan_are_logged_at_their_service_and_stop_the_program(program: Program) -> None:
    twins = {"v1": scripted(), "v2": scripted()}
    with pytest.raises(Refused, match=r"the plan has 1 error, nothing is changed: services\.chat\.versions\.v2"):
        program(lambda: Stack("dev", services(chat={"versions": twins, "traffic": {"v1": 50, "v2": 50}})))
    assert [level for level, text in program.logs if "same content" in text] == ["error"]
    assert {made.type for made in program.declared.made} <= {"Stack", "ModelService"}


def test_a_preview_shows_the_plan(program: Program) -> None:
    program(lambda: Stack("dev", services(chat=scripted())), preview=True)
    assert any("SERVICE" in text and "chat" in text for _, text in program.logs)


def test_groups_and_quotas_are_declared_and_said_to_be_planned_only(program: Program) -> None:
    config = {
        "resourceGroups": {"a10": {"instanceTypes": ["ecs.gn7i-c16g1.4xlarge"], "nodes": {"max": 2}}},
        "quotas": {"nlp": {"resourceGroup": "a10", "cpus": 8}},
        **services(chat=scripted()),
    }
    program(lambda: Stack("dev", config), preview=True)
    assert set(program.declared.of("ResourceGroup")) == {"a10"}
    assert set(program.declared.of("ResourceQuota")) == {"nlp"}
    assert sum("not enforced" in text for level, text in program.logs if level == "info") >= 2


def test_a_service_of_ones_own_program_plans_itself(program: Program) -> None:
    args = {**scripted(), "state": "/s", "endpoint": "http://g:1"}
    service = program(lambda: ModelService("chat", args))
    assert service.hashes == {"main": program.declared.of("Version").popitem()[1].inputs["hash"]}
    assert program.declared.of("Route")["chat"].inputs["gateway"] == "http://g:1"


def test_a_file_without_services_declares_no_host(program: Program) -> None:
    program(lambda: Stack("dev", {}))
    assert {made.type for made in program.declared.made} == {"Stack"}


def test_node_pools_are_not_there_on_local(program: Program) -> None:
    with pytest.raises(Refused, match="node pools are not available yet"):
        program(lambda: GpuNodePool("a10", {}))
