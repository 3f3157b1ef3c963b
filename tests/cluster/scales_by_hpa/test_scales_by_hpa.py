"""Autoscalers of the cluster: the HPA at work; KEDA by its definitions and by what its scaler would read."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.cluster.harness import ClusterProject, small
from tests.cluster.harness.kinds import known
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


@pytest.mark.usefixtures("no_metrics_stay")
def test_what_the_cluster_cannot_have_is_said_at_the_service_before_anything_is_made(project: ClusterProject) -> None:
    project.write({"chat": small("scaled", autoscaler="keda", replicas={**REPLICAS, "min": 0})})
    output = project.up(code=1)
    assert "services.chat.autoscaler: KEDA is not installed in this cluster" in output, output
    assert "Traceback" not in output, output
    theirs = {"group": "external.metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100}
    project.cluster.apply(
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": API_SERVICE},
            "spec": {**theirs, "versionPriority": 100},
        }
    )
    try:
        project.write({"chat": small("scaled", autoscaler="hpa", replicas=REPLICAS)})
        output = project.up(code=1)
    finally:
        project.cluster.kubectl("delete", "apiservice", API_SERVICE)
    assert f"the cluster's external metrics API ({API_SERVICE}) is served by" in output, output
    assert not project.cluster.kubectl("get", "namespace", project.namespace, "--ignore-not-found")


def test_keda_reads_the_gateways_number_at_the_address_of_its_object(project: ClusterProject) -> None:
    with known(project.cluster, "scaledobjects"):
        keda = small("scaled", autoscaler="keda", replicas=REPLICAS, engineArgs=SLOW)
        project.write({"chat": keda})
        project.up()
        token = project.token()
        assert ask(project.endpoint, "chat", token).status == 200
        [found] = project.items("scaledobjects")
        assert (found["spec"]["minReplicaCount"], found["spec"]["maxReplicaCount"]) == (1, 3)
        [trigger] = found["spec"]["triggers"]
        with SteadyLoad(project.endpoint, "chat", token, rate=1, streams=8):
            project.wait_until(lambda: number(project, trigger) >= 6, 60, "the number that asks for three replicas")
        project.assert_no_changes()
        project.write({"chat": {**keda, "autoscaler": "gateway"}})
        project.up()
        assert project.items("scaledobjects") == []


def number(project: ClusterProject, trigger: dict[str, Any]) -> float:
    """What KEDA's scaler `metrics-api` reads; its name in the cluster is an address from here. -1: not known yet."""
    url = urlsplit(trigger["metadata"]["url"])
    assert url.hostname is not None
    name, namespace, *_ = url.hostname.split(".")
    assert namespace == project.namespace
    address = project.get("service", name)["spec"]["clusterIP"]
    try:
        with urllib.request.urlopen(f"http://{address}:{url.port}{url.path}?{url.query}", timeout=10) as answer:
            return float(json.load(answer)[trigger["metadata"]["valueLocation"]])
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != 503:
            raise
        return -1
