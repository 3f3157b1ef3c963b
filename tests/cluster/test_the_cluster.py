"""Promise: the test cluster is real: pods run and find each other, rights and standards hold, GPUs are counted."""

from __future__ import annotations

import os
import signal
import urllib.request
from pathlib import Path

import pytest

from tests.cluster.harness import Cluster, ClusterCommandFailed, Namespace, addresses, pod
from tests.cluster.harness.cluster import refuse_other_clusters

A10 = "ecs.gn7i-8x.16xlarge"
READY = "condition=Ready"


def answer(address: str) -> str | None:
    """What is served at an address; None while kube-proxy has not heard of it yet."""
    try:
        with urllib.request.urlopen(f"http://{address}/", timeout=10) as answered:
            return str(answered.read().decode())
    except OSError:
        return None


def test_a_service_is_found_by_name_and_answers_pods_and_this_machine(namespace: Namespace) -> None:
    service = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8000}]}
    namespace.apply(
        pod("web", "serve", ":8000", "hello from a pod"),
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": service},
    )
    namespace.wait_for("pod/web", READY)
    address = namespace.get("service", "web")["spec"]["clusterIP"]
    assert namespace.said("resolver", "resolve", "web").split() == [address]
    namespace.cluster.wait_until(lambda: answer(address) == "hello from a pod\n", what="the service answers here")
    assert namespace.said("client", "get", f"http://web.{namespace.name}:80/") == "hello from a pod\n"


@pytest.mark.usefixtures("balancer")
def test_a_load_balancers_address_answers(cluster: Cluster, namespace: Namespace) -> None:
    service = {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8000}]}
    namespace.apply(
        pod("web", "serve", ":8000", "hello from a pod"),
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": service},
    )
    namespace.wait_for("pod/web", READY)
    cluster.wait_until(lambda: addresses(namespace.get("service", "web")), what="the service has an address")
    [address] = addresses(namespace.get("service", "web"))
    cluster.wait_until(lambda: answer(address) == "hello from a pod\n", what="the address answers")


def test_a_pod_has_its_service_accounts_token_and_the_clusters_certificate(namespace: Namespace) -> None:
    folder = "/var/run/secrets/kubernetes.io/serviceaccount"
    assert namespace.said("token", "read", f"{folder}/token").count(".") == 2  # a JSON web token
    assert "BEGIN CERTIFICATE" in namespace.said("authority", "read", f"{folder}/ca.crt")


def test_the_restricted_standard_refuses_a_pod_that_runs_as_root(namespace: Namespace) -> None:
    with pytest.raises(ClusterCommandFailed, match="violates PodSecurity"):
        namespace.apply(pod("root", securityContext={"runAsUser": 0}))


def test_a_ninth_gpu_waits_for_a_node(fake_nodes: Cluster, namespace: Namespace) -> None:
    [node] = fake_nodes.add_nodes(A10)
    wanted = [f"gpu-{number}" for number in range(9)]
    namespace.apply(*(pod(name, limits={"nvidia.com/gpu": 1}) for name in wanted))

    def phases() -> list[str]:
        return sorted(found["status"]["phase"] for found in namespace.items("pods"))

    fake_nodes.wait_until(lambda: phases() == ["Pending"] + ["Running"] * 8, what="eight of nine run")
    waiting = next(found for found in namespace.items("pods") if found["status"]["phase"] == "Pending")
    [condition] = waiting["status"]["conditions"]
    assert condition["reason"] == "Unschedulable"
    assert "Insufficient nvidia.com/gpu" in condition["message"]
    assert {found["spec"].get("nodeName") for found in namespace.items("pods")} == {node, None}


def test_pods_that_ask_for_no_gpu_stay_off_fake_nodes(fake_nodes: Cluster, namespace: Namespace) -> None:
    names = fake_nodes.add_nodes(A10, 2)
    namespace.apply(pod("plain"))
    namespace.wait_for("pod/plain", READY)
    assert namespace.get("pod", "plain")["spec"]["nodeName"] not in names


def test_a_container_over_its_memory_is_killed_and_a_failed_one_leaves_its_words(namespace: Namespace) -> None:
    namespace.apply(
        pod("hog", "hold", "200", limits={"memory": "64Mi"}, restartPolicy="Never"),
        pod("failing", "fail", "7", "no such model", restartPolicy="Never"),
    )
    for name in ("hog", "failing"):
        namespace.wait_for(f"pod/{name}", "jsonpath={.status.phase}=Failed")
    ended = {
        found["metadata"]["name"]: found["status"]["containerStatuses"][0]["state"]["terminated"]
        for found in namespace.items("pods")
    }
    assert ended["hog"]["reason"] == "OOMKilled"
    assert (ended["failing"]["exitCode"], ended["failing"]["message"]) == (7, "no such model")


def test_a_claim_gets_a_volume_that_a_pod_without_root_may_write(namespace: Namespace) -> None:
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    namespace.apply(
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": claim},
        pod("user", volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]),
    )
    namespace.wait_for("pod/user", READY)
    assert namespace.get("pvc", "data")["status"]["phase"] == "Bound"


def test_a_part_that_is_killed_comes_back(cluster: Cluster, namespace: Namespace) -> None:
    before = cluster.pid("scheduler")
    os.kill(before, signal.SIGKILL)
    namespace.apply(pod("later"))
    namespace.wait_for("pod/later", READY)
    assert cluster.pid("scheduler") != before


def test_another_clusters_kubeconfig_is_refused(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text("current-context: prod\n")
    with pytest.raises(ValueError, match="'prod'"):
        refuse_other_clusters(kubeconfig)
