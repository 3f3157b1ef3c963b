"""A stack on a cluster: which resources are declared, in which order."""

from __future__ import annotations

import base64
import io
import tarfile
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components import Gateway, ModelService, Stack
from components.errors import Refused
from components.targets.kubernetes.render import manifests
from infra.plan import Lock, make
from infra.stackfile import load
from tests.components.conftest import Program
from tests.infra.plan.stacks import CATALOG, IMAGES, pinned


@pytest.fixture(autouse=True)
def locked(program: Program) -> None:
    (program.folder / "inferform.lock").write_text(Lock(images=IMAGES).text())


def config(target: str = "", **services: Any) -> dict[str, Any]:
    import yaml

    return {"target": yaml.safe_load(f"{{kind: kubernetes, {target}}}"), "services": services}


def scripted(text: str = "one", **changes: Any) -> dict[str, Any]:
    return {"engine": "scripted", "engineArgs": {"text": text}, **changes}


def closure(program: Program, name: str) -> set[str]:
    """Everything that a resource depends on, `name:Type`."""
    direct = {f"{made.name}:{made.type}": made.depends_on for made in program.declared.made}
    found: set[str] = set()
    todo = [name]
    while todo:
        for each in direct.get(todo.pop(), []):
            if each not in found:
                found.add(each)
                todo.append(each)
    return found


def test_a_service_is_declared_from_the_namespace_to_its_route(program: Program) -> None:
    stack = program(lambda: Stack("dev", config(chat=scripted())))
    hash = stack.services["chat"]["versions"]["main"]
    name = f"chat-{hash}"
    made = program.declared
    assert made.of("Namespace")["inferform"].inputs == {"state": "kubernetes:///inferform", "stack": "proj.dev"}
    assert made.of("Version")[name].inputs["state"] == "kubernetes:///inferform"
    for kind in ("Deployment", "Service", "PodDisruptionBudget"):
        assert f"{name}:Version" in made.of(kind)[name].depends_on
    rollout = closure(program, f"{name}:Rollout")
    assert {f"{name}:Deployment", f"{name}:Version", "chat:Token", "inferform-gateway:Deployment"} <= rollout
    assert "inferform-gateway:RoleBinding" in rollout
    assert f"{name}:Rollout" in made.of("Route")["chat"].depends_on
    assert "chat:Service" in made.of("Route")["chat"].depends_on


def test_everything_is_deleted_before_the_namespace(program: Program) -> None:
    program(lambda: Stack("dev", config(chat=scripted())))
    loose = [
        f"{made.name}:{made.type}"
        for made in program.declared.made
        if "inferform:Namespace" not in closure(program, f"{made.name}:{made.type}")
    ]
    assert sorted(loose) == [
        "chat:ModelService", "dev:Stack", "gateway:Gateway", "gateway:kubernetes", "inferform:Namespace",
    ]  # fmt: skip


def test_the_endpoint_is_the_gateways_address_in_the_cluster(program: Program) -> None:
    seen: list[Any] = []
    stack = program(lambda: Stack("dev", config("namespace: llm", chat=scripted())))
    program(lambda: pulumi.Output.all(stack.services["chat"]["endpoint"]).apply(seen.extend))
    assert seen == ["http://inferform-gateway.llm:8080/api/predict/chat"]


def test_independent_services_do_not_wait_for_each_other(program: Program) -> None:
    program(lambda: Stack("dev", config(one=scripted("1"), two=scripted("2"))))
    for made in program.declared.made:
        if made.name.startswith("one"):
            assert not any(name.startswith("two") for name in closure(program, f"{made.name}:{made.type}"))


def test_the_provider_knows_its_cluster_by_context_and_namespace(program: Program) -> None:
    (program.folder / "kube.yaml").write_text("")
    target = "context: prod, namespace: llm, kubeconfig: ./kube.yaml"
    program(lambda: Stack("dev", config(target, chat=scripted())))
    provider = program.declared.of("kubernetes")["gateway"].inputs
    assert provider["clusterIdentifier"] == "prod/llm"
    assert provider["kubeconfig"] == str(Path(program.folder, "kube.yaml"))


def test_a_quota_is_there_before_the_pods_that_it_counts(program: Program) -> None:
    services = config(chat=scripted(resources={"quota": "nlp"}))
    program(lambda: Stack("dev", {**services, "quotas": {"nlp": {"cpus": 2}}}))
    [deployment] = (made for made in program.declared.of("Deployment").values() if made.name.startswith("chat"))
    assert {"inferform-inferform-nlp:PriorityClass", "nlp:ResourceQuota"} <= set(deployment.depends_on)


def test_models_are_fetched_into_their_volume_before_pods_come(program: Program) -> None:
    lock = pinned("Qwen2.5-0.5B-Instruct").model_copy(update={"images": IMAGES})
    (program.folder / "inferform.lock").write_text(lock.text())
    service = {"model": "Qwen2.5-0.5B-Instruct", "method": "standard"}
    program(lambda: Stack("dev", config("modelCache: {sizeGiB: 3}", one=service, two={**service, "webui": True})))
    [claim] = program.declared.of("PersistentVolumeClaim")
    assert set(program.declared.of("Job")) == {claim}, "one model, one volume"
    deployments = [made for made in program.declared.of("Deployment").values() if made.name != "inferform-gateway"]
    assert len(deployments) == 2
    for made in deployments:
        assert {f"{claim}:Job", f"{claim}:PersistentVolumeClaim"} <= set(made.depends_on)


def test_a_load_balancers_address_is_the_endpoint(program: Program) -> None:
    seen: list[Any] = []
    stack = program(lambda: Stack("dev", config("gateway: {expose: loadBalancer}", chat=scripted())))
    program(lambda: pulumi.Output.all(stack.services["chat"]["endpoint"]).apply(seen.extend))
    assert seen == ["http://203.0.113.7:8080/api/predict/chat"]


def test_rendered_manifests_are_declared_and_nothing_of_the_plugin_is(program: Program) -> None:
    stack = program(lambda: Stack("dev", config("render: ./out", chat=scripted())))
    ours = {made.type for made in program.declared.made if "apiVersion" not in made.inputs}
    assert ours == {"Stack", "Gateway", "ModelService", "kubernetes"}
    provider = program.declared.of("kubernetes")["gateway"].inputs
    assert provider["renderYamlToDirectory"] == str(program.folder / "out")
    file = {**config("render: ./out", chat=scripted())}
    declared = load(file, folder=program.folder)
    expected = manifests(declared, make(declared, CATALOG, lock=Lock(images=IMAGES)), "proj.dev")

    def key(manifest: dict[str, Any]) -> tuple[str, str]:
        return manifest["kind"], manifest["metadata"]["name"]

    assert {key(each) for each in program.declared.manifests()} == {key(each) for each in expected}
    seen: list[Any] = []
    program(lambda: pulumi.Output.all(stack.services["chat"]["endpoint"]).apply(seen.extend))
    assert seen == ["http://inferform-gateway.inferform:8080/api/predict/chat"]


def test_a_program_of_ones_own_declares_gateway_and_service_by_itself(program: Program) -> None:
    target = {"kind": "kubernetes", "namespace": "llm", "context": "prod"}

    def own() -> ModelService:
        gateway = Gateway("front", {**target, "image": IMAGES["standard"]})
        args = {**scripted(), "target": target, "state": gateway.state, "endpoint": gateway.endpoint}
        return ModelService("chat", args)

    service = program(own)
    made = program.declared
    [route] = made.of("Route").values()
    assert route.inputs["state"] == "kubernetes://prod/llm"
    assert route.inputs["gateway"] == "http://inferform-gateway.llm:8080"
    assert route.inputs["versions"]["main"]["hash"] == service.hashes["main"]
    assert made.of("ModelService")["chat"].inputs == scripted(), "the keys of the stack file alone"
    assert set(made.of("kubernetes")) == {"front", "chat-cluster"}


def test_a_gateway_on_a_cluster_needs_an_image(program: Program) -> None:
    with pytest.raises(Refused, match="image is missing"):
        program(lambda: Gateway("front", {"kind": "kubernetes"}))
    with pytest.raises(Refused, match=r"target\.namespace"):
        program(lambda: Gateway("front", {"kind": "kubernetes", "namespace": "No"}))


def test_documents_are_there_before_the_route_says_so(program: Program) -> None:
    (program.folder / "docs").mkdir()
    (program.folder / "docs" / "one.md").write_text("Ottawa is a city.")
    program(lambda: Stack("dev", config(chat=scripted(knowledge={"documents": "./docs"}))))
    route = program.declared.of("Route")["chat"]
    assert route.inputs["knowledge"]["folder"] == "/etc/inferform/knowledge/documents.tar.gz"
    assert "chat-knowledge:ConfigMap" in route.depends_on
    documents = program.declared.of("ConfigMap")["chat-knowledge"].inputs["binaryData"]["documents.tar.gz"]
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(documents))) as packed:
        assert packed.getnames() == ["one.md"]
