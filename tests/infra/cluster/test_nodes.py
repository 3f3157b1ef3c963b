"""Which node lacks what, by name."""

from __future__ import annotations

from typing import Any

import pytest

from infra.cluster.nodes import lacks, quantity

TYPE = "node.kubernetes.io/instance-type"


def node(name: str, kind: str = "large", *, memory: str = "8Gi", cpu: str = "4", **spec: Any) -> dict[str, Any]:
    allocatable = {"memory": memory, "cpu": cpu, "pods": "110"}
    return {"metadata": {"name": name, "labels": {TYPE: kind}}, "spec": spec, "status": {"allocatable": allocatable}}


def pod(where: str = "", kinds: tuple[str, ...] = (), **asks: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"containers": [{"resources": {"requests": asks}}]}
    if where:
        spec["nodeName"] = where
    if kinds:
        terms = [{"matchExpressions": [{"key": TYPE, "operator": "In", "values": list(kinds)}]}]
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
        spec["affinity"] = {"nodeAffinity": required}
    return {"metadata": {"name": "p"}, "spec": spec, "status": {"phase": "Running"}}


@pytest.mark.parametrize(
    ("text", "number"), [("500m", 0.5), ("8Gi", 8 * 2**30), ("4", 4), ("2k", 2000), ("", 0), (None, 0), ("x", 0)]
)
def test_quantities_are_read_as_kubernetes_writes_them(text: str | None, number: float) -> None:
    assert quantity(text) == number


def test_a_node_without_enough_left_says_how_much_it_has() -> None:
    there = [pod("a", memory="5Gi"), {**pod("a", memory="3Gi"), "status": {"phase": "Succeeded"}}]
    assert lacks(pod(memory="4Gi"), [node("a")], there) == "node a has 3.0 GiB of 4.0 GiB memory free"
    assert lacks(pod(memory="2Gi"), [node("a")], there) == ""
    gpu = pod()
    gpu["spec"]["containers"][0]["resources"]["requests"]["nvidia.com/gpu"] = "1"
    assert lacks(gpu, [node("a")], []) == "node a has 0 of 1 nvidia.com/gpu free"


def test_the_nearest_node_comes_first_and_many_are_counted() -> None:
    tainted = [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]
    nodes = [node("a", "small", taints=tainted), node("b"), *(node(f"c{number}", "small") for number in range(4))]
    said = lacks(pod(kinds=("large", "xlarge"), memory="10Gi"), nodes, [])
    assert said.startswith("node b has 8.0 GiB of 10.0 GiB memory free; node c0 ")
    assert said.endswith("; 2 more nodes")
    [alone] = [lacks(pod(kinds=("large", "xlarge")), [nodes[0]], [])]
    assert alone == f"node a has {TYPE} small, not large, xlarge and has the taint gpu=yes"


def test_what_a_pod_tolerates_is_not_in_its_way() -> None:
    taint = {"key": "gpu", "effect": "NoSchedule"}
    wish = pod()
    wish["spec"]["tolerations"] = [{"key": "gpu", "operator": "Exists"}]
    assert lacks(wish, [node("a", taints=[taint])], []) == ""
    assert lacks(pod(), [node("a", unschedulable=True)], []) == "node a is cordoned"
