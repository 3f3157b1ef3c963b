"""What moves replica counts where that is not the gateway. The manifests themselves: golden/autoscalers-*."""

from __future__ import annotations

from typing import Any

import pytest

from components import Stack
from components.targets.kubernetes.scaling import quantity
from tests.components.conftest import Program
from tests.components.targets.kubernetes.stacks import rendered
from tests.components.targets.kubernetes.test_declared import closure, config, locked, scripted

__all__ = ["locked"]
REPLICAS = {"min": 1, "max": 3, "target": {"qps": 5}}


def of(kind: str, **keys: Any) -> list[dict[str, Any]]:
    import yaml

    file = {"target": {"kind": "kubernetes"}, "services": {"chat": scripted(**keys)}}
    return [each for each in rendered(yaml.safe_dump(file)) if each["kind"] == kind]


def test_without_them_nothing_of_theirs_is_there() -> None:
    for kind in ("HorizontalPodAutoscaler", "ScaledObject", "APIService"):
        assert of(kind, replicas=REPLICAS) == []
    assert "inferform-metrics" not in {each["metadata"]["name"] for each in of("Service", replicas=REPLICAS)}


def test_only_hpa_takes_the_clusters_external_metrics() -> None:
    assert of("APIService", autoscaler="keda", replicas=REPLICAS) == []
    [api] = of("APIService", autoscaler="hpa", replicas=REPLICAS)
    assert api["spec"]["service"]["name"] == "inferform-metrics"


def test_bounds_target_and_windows_are_in_no_hash() -> None:
    [one] = of("HorizontalPodAutoscaler", autoscaler="hpa", replicas=REPLICAS)
    changed = {**REPLICAS, "max": 5, "target": {"queue": 1.5}, "scaleDownSeconds": 60}
    [two] = of("HorizontalPodAutoscaler", autoscaler="hpa", replicas=changed)
    assert one["metadata"] == two["metadata"]
    assert two["spec"]["maxReplicas"] == 5
    assert two["spec"]["metrics"][0]["external"]["target"]["averageValue"] == "1500m"
    [three] = of("ScaledObject", autoscaler="keda", replicas=REPLICAS)
    assert three["metadata"]["name"] == one["metadata"]["name"]


@pytest.mark.parametrize(("number", "text"), [(2.0, "2"), (1.5, "1500m"), (0.0001, "1m"), (3e6, "3000000")])
def test_numbers_are_written_as_the_api_server_keeps_them(number: float, text: str) -> None:
    assert quantity(number) == text


def test_an_hpa_comes_after_its_rollout_and_the_metrics_after_the_gateways(program: Program) -> None:
    stack = program(lambda: Stack("dev", config(chat=scripted(autoscaler="hpa", replicas=REPLICAS))))
    name = f"chat-{stack.services['chat']['versions']['main']}"
    made = program.declared
    assert made.of("Namespace")["inferform"].inputs["autoscalers"] == {"chat": "hpa"}
    hpa = closure(program, f"{name}:HorizontalPodAutoscaler")
    api = "v1beta1.external.metrics.k8s.io:APIService"
    assert {f"{name}:Rollout", "inferform-metrics:Service", api} <= hpa
    assert "inferform-gateway:Deployment" in closure(program, api)
