"""Autoscalers of the cluster, on a cluster without KEDA."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.harness import ClusterProject, small
from tests.e2e.harness import SteadyLoad, ask

API_SERVICE = "v1beta1.external.metrics.k8s.io"
REPLICAS = {"min": 1, "max": 3, "target": {"concurrency": 2}, "scaleUpSeconds": 0, "scaleDownSeconds": 5}
SLOW = {"tokensPerSecond": 4, "tokens": 8}


@pytest.fixture
def no_metrics_stay(project: ClusterProject) -> Iterator[None]:
    """Of a test that failed too: without its gateways an external metrics API would hold up every namespace's end."""
    try:
        yield
    finally:
        found = project.cluster.items("apiservices", "--field-selector", f"metadata.name={API_SERVICE}")
        if any((each["spec"].get("service") or {}).get("namespace") == project.namespace for each in found):
            project.cluster.kubectl("delete", "apiservice", API_SERVICE)


@pytest.mark.usefixtures("no_metrics_stay")
def test_an_hpa_follows_the_load_and_bounds_change_in_place(project: ClusterProject) -> None:
    chat = small("scaled", autoscaler="hpa", replicas=REPLICAS, engineArgs=SLOW)
    project.write({"chat": chat})
    project.up()
    token = project.token()
    digest = ask(project.endpoint, "chat", token).version
    name = f"chat-{digest}"

    def live() -> int:
        return int(project.get("deployment", name)["spec"]["replicas"])

    project.cluster.kubectl("wait", "--for=condition=Available", f"apiservice/{API_SERVICE}", "--timeout=60s")
    assert live() == 1
    with SteadyLoad(project.endpoint, "chat", token, rate=1, streams=8):
        project.wait_until(lambda: live() == 3, 120, "three replicas under load")
        project.assert_no_changes()
    project.wait_until(lambda: live() == 1, 120, "one replica without load")
    project.assert_no_changes()

    project.write({"chat": {**chat, "replicas": {**REPLICAS, "max": 2}}})
    project.up()
    assert project.get("hpa", name)["spec"]["maxReplicas"] == 2
    assert ask(project.endpoint, "chat", token).version == digest
    project.destroy()
    assert not project.cluster.kubectl("get", "apiservice", API_SERVICE, "--ignore-not-found")


def test_a_cluster_without_keda_says_so_at_the_service(project: ClusterProject) -> None:
    project.write({"chat": small("scaled", autoscaler="keda", replicas={**REPLICAS, "min": 0})})
    output = project.up(code=1)
    assert "services.chat.autoscaler: KEDA is not installed in this cluster" in output, output
    assert "Traceback" not in output, output
    project.write({"chat": small("scaled")})
    project.up()
    assert ask(project.endpoint, "chat", project.token()).status == 200
