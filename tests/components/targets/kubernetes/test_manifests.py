"""The manifests of a stack: as they are read, and what holds for all of them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from components.targets.kubernetes.render import manifests, text, write
from components.targets.kubernetes.version import pod_template, version_objects
from infra.plan import VersionPlan
from runtime.contract.cluster import PART, ROUTE_KEY, SPEC_KEY, TOKENS, VERSION_KEY
from runtime.contract.desired import Version
from runtime.contract.replica import ReplicaSpec
from runtime.contract.route import RouteTable
from runtime.contract.version import Bounds, VersionTemplate
from tests.components.targets.kubernetes.stacks import planned, pods, rendered, version_of
from tests.infra.plan.stacks import stack

FOLDER = Path(__file__).parent / "golden"
STACKS = sorted(FOLDER.glob("*.yaml"))
ALL = pytest.mark.parametrize("file", STACKS, ids=lambda file: file.stem)


@ALL
def test_the_manifests_read_as_they_did(file: Path) -> None:
    """Run with INFERFORM_WRITE_GOLDEN=1 to write them anew, then look at each."""
    shown = text(rendered(file.read_text()))
    expected = file.with_suffix(".manifests")
    if os.environ.get("INFERFORM_WRITE_GOLDEN"):
        expected.write_text(shown)
    assert shown == expected.read_text()


@ALL
def test_every_pod_meets_the_restricted_pod_security_standard(file: Path) -> None:
    for name, pod in pods(rendered(file.read_text())):
        assert problems(pod) == [], name


def problems(pod: dict[str, Any]) -> list[str]:
    """What the restricted standard (and a read-only root) finds wrong with a pod's spec."""
    found = [key for key in ("hostNetwork", "hostPID", "hostIPC") if pod.get(key)]
    security = pod["securityContext"]
    found += [] if security.get("runAsNonRoot") is True and security.get("runAsUser") != 0 else ["root"]
    found += [] if security.get("seccompProfile", {}).get("type") == "RuntimeDefault" else ["seccomp"]
    allowed = {"configMap", "secret", "projected", "emptyDir", "persistentVolumeClaim", "downwardAPI", "csi"}
    found += [f"volume {volume['name']}" for volume in pod["volumes"] if not (set(volume) - {"name"}) <= allowed]
    for container in [*pod["containers"], *pod.get("initContainers", [])]:
        own = container["securityContext"]
        found += [] if own.get("allowPrivilegeEscalation") is False else ["privilege escalation"]
        found += [] if own.get("capabilities") == {"drop": ["ALL"]} else ["capabilities"]
        found += [] if own.get("readOnlyRootFilesystem") is True else ["writable root"]
        found += [f"host port {port}" for port in container.get("ports", []) if "hostPort" in port]
        found += ["privileged"] if own.get("privileged") else []
    return found


def test_the_check_itself_finds_what_the_standard_forbids() -> None:
    container = {"securityContext": {"privileged": True}, "ports": [{"hostPort": 1}]}
    bad = {
        "hostNetwork": True,
        "securityContext": {},
        "volumes": [{"name": "h", "hostPath": {}}],
        "containers": [container],
    }
    assert len(problems(bad)) == 9


@ALL
def test_every_object_is_named_once_and_labelled(file: Path) -> None:
    made = rendered(file.read_text())
    names = [(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in made]
    assert len(set(names)) == len(names)
    assert all(each["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "inferform" for each in made)
    assert all(len(name) <= 63 for _, _, name in names)


@ALL
def test_no_manifest_holds_a_secret(file: Path) -> None:
    assert not [each for each in rendered(file.read_text()) if each["kind"] == "Secret"]


@ALL
def test_every_mount_has_its_volume_and_every_volume_its_mount(file: Path) -> None:
    for name, pod in pods(rendered(file.read_text())):
        mounted = {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}, name
        paths = [mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]]
        assert len(set(paths)) == len(paths)


def test_a_gateway_may_do_what_it_does_and_no_more() -> None:
    made = rendered(STACKS[0].read_text())
    assert not [each for each in made if each["kind"].startswith("ClusterRole")], "rights end at the namespace"
    [role] = (each for each in made if each["kind"] == "Role")
    rights = {
        (resource, verb, tuple(rule.get("resourceNames", ())))
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert not [right for right in rights if "*" in right]
    assert {name for resource, _, name in rights if resource == "secrets"} == {(TOKENS,)}
    writes = {(resource, verb) for resource, verb, _ in rights if verb not in ("get", "list", "watch")}
    assert writes == {
        ("configmaps", "update"),
        ("deployments/scale", "patch"),
        ("leases", "create"),
        ("leases", "update"),
        ("leases", "patch"),
    }


@ALL
def test_replicas_have_no_rights_and_no_token(file: Path) -> None:
    made = rendered(file.read_text())
    bound = {subject["name"] for each in made if each["kind"] == "RoleBinding" for subject in each["subjects"]}
    assert bound == {"inferform-gateway"}
    for name, pod in pods(made):
        if "gateway" not in name:
            assert pod["automountServiceAccountToken"] is False
            assert pod["serviceAccountName"] == "inferform-replica"


@ALL
def test_replica_counts_are_never_declared(file: Path) -> None:
    for each in rendered(file.read_text()):
        if each["kind"] == "Deployment" and each["metadata"]["labels"][PART] == "version":
            assert "replicas" not in each["spec"]


@ALL
def test_what_our_processes_read_can_be_read(file: Path) -> None:
    kinds = {SPEC_KEY: ReplicaSpec.from_json, VERSION_KEY: Version.from_json, ROUTE_KEY: RouteTable.from_json}
    read = [
        kinds[key](text)
        for each in rendered(file.read_text())
        for key, text in each.get("data", {}).items()
        if key in kinds
    ]
    assert len(read) >= 3
    [table, *_] = (each for each in read if isinstance(each, RouteTable))
    assert table.generation > 0


def test_the_same_stack_file_gives_the_same_files(tmp_path: Path) -> None:
    stack_file = STACKS[0].read_text()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "099-secret-old.yaml").write_text("left from before")
    (tmp_path / "out" / "kustomization.yaml").write_text("the user's own")
    first = write(tmp_path / "out", rendered(stack_file))
    contents = [file.read_text() for file in first]
    assert [file.read_text() for file in write(tmp_path / "out", rendered(stack_file))] == contents
    assert {file.name for file in (tmp_path / "out").iterdir()} == {file.name for file in first} | {
        "kustomization.yaml"
    }
    assert yaml.safe_load(contents[0])["kind"] == "Namespace"


def test_a_routes_generation_follows_from_its_content() -> None:
    file = "{target: {kind: kubernetes}, services: {chat: {engine: scripted, webui: WEBUI}}}"

    def generation(webui: str) -> int:
        [found] = (each for each in rendered(file.replace("WEBUI", webui)) if ROUTE_KEY in each.get("data", {}))
        return int(json.loads(found["data"][ROUTE_KEY])["generation"])

    assert generation("true") == generation("true") != generation("false")


TEMPLATES = st.fixed_dictionaries(
    {},
    optional={
        "context": st.integers(1, 9),
        "env": st.dictionaries(st.sampled_from("AB"), st.sampled_from("xy")),
        "cpus": st.sampled_from([0.5, 1.0]),
        "memory_gib": st.sampled_from([1.0, 1.5]),
        "gpus": st.integers(0, 2),
        "instance_types": st.sampled_from([(), ("a",), ("a", "b")]),
        "quota": st.sampled_from([None, "nlp"]),
        "model_cache": st.sampled_from([None, "model-1"]),
        "drain_seconds": st.sampled_from([30, 40]),
        "image": st.sampled_from(["i@sha256:1", "i@sha256:2"]),
    },
)


def of(changes: dict[str, Any]) -> VersionPlan:
    template = VersionTemplate.model_validate({"method": "standard", "engine": "scripted", **changes})
    return VersionPlan(name="main", hash=template.hash(), template=template, bounds=Bounds())


@given(TEMPLATES, TEMPLATES)
def test_a_versions_objects_change_exactly_when_its_hash_does(one: dict[str, Any], two: dict[str, Any]) -> None:
    first, second = of(one), of(two)
    same = version_objects("llm", "chat", first) == version_objects("llm", "chat", second)
    assert same is (first.hash == second.hash)


def test_neither_names_nor_bounds_nor_the_clock_are_in_a_pod() -> None:
    version = version_of("{engine: scripted}")
    other = version_of("{engine: scripted, replicas: {max: 4}, rollout: {timeouts: {weights: 5}}, limits: {qps: 3}}")
    assert version.hash == other.hash
    assert pod_template("llm", "chat", version) == pod_template("llm", "chat", other)


def test_manifests_need_no_order_of_keys() -> None:
    one = "{target: {kind: kubernetes}, services: {aaa: {engine: scripted}, bbb: {engine: scripted}}}"
    two = "{services: {bbb: {engine: scripted}, aaa: {engine: scripted}}, target: {kind: kubernetes}}"
    assert manifests(stack(one), planned(one), "p.s") == manifests(stack(two), planned(two), "p.s")
