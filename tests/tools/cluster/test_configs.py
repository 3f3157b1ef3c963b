"""What the parts are told: who may log in, where fake nodes' pods go, and no address of this machine's own."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tools.cluster import configs, fakenodes
from tools.cluster.layout import CONTEXT, Layout
from tools.cluster.parts import FAKE, STAGES, parts
from tools.cluster.tls import USERS, kubeconfig, kubeconfig_of, token_line

LAYOUT = Layout(state=Path("/tmp/cluster"), number=3, bins=Path("/tools/bin"), pause=Path("/tools/bin/pause"))


def test_a_user_of_several_groups_is_one_line_of_four_fields() -> None:
    [fields] = csv.reader([token_line("system:node:inferform-test", "secret")])
    assert fields == ["secret", "system:node:inferform-test", "system:node:inferform-test", "system:nodes"]


def test_every_kubeconfig_has_the_one_context_that_tests_accept() -> None:
    document = json.loads(kubeconfig(LAYOUT, "admin", "secret"))
    assert document["current-context"] == CONTEXT == document["contexts"][0]["name"]
    assert document["clusters"][0]["cluster"]["server"] == "https://198.18.3.2:6443"


def test_every_part_starts_in_one_stage_and_logs_in_as_itself() -> None:
    known = parts(LAYOUT)
    assert sorted(known) == sorted([*(name for stage in STAGES for name in stage), FAKE])
    files = {str(kubeconfig_of(LAYOUT, user)) for user in USERS}
    for part in known.values():
        for word in part.command:
            if word.startswith("--kubeconfig="):
                assert word.removeprefix("--kubeconfig=") in files


def test_what_listens_without_a_password_listens_on_loopback_of_the_clusters_own_network() -> None:
    assert configs.kube_proxy(LAYOUT)["healthzBindAddress"].startswith("127.0.0.1:")
    assert configs.kubelet(LAYOUT)["authentication"]["anonymous"] == {"enabled": False}


def test_containerd_is_told_the_image_that_holds_a_pods_namespaces() -> None:
    text = configs.containerd(LAYOUT, snapshotter="overlayfs", runc="/usr/sbin/runc", cni_programs="/usr/lib/cni")
    assert 'sandbox = "inferform.test/pause:1"' in text
    assert 'address = "/tmp/cluster/containerd.sock"' in text


@pytest.mark.parametrize(("gpus", "key"), [(8, "nvidia.com/gpu"), (0, "kwok.x-k8s.io/node")])
def test_a_fake_node_keeps_pods_away_that_must_really_run(gpus: int, key: str) -> None:
    made = fakenodes.node("fake-0", fakenodes.Shape(instance_type="ecs.x", gpus=gpus, cpus=2.5, memory_gib=7.5))
    [taint] = made["spec"]["taints"]
    assert (taint["key"], taint["effect"]) == (key, "NoSchedule")
    assert made["metadata"]["labels"]["node.kubernetes.io/instance-type"] == "ecs.x"
    assert made["status"]["allocatable"]["cpu"] == "2500m"
    assert made["status"]["allocatable"].get("nvidia.com/gpu") == (str(gpus) if gpus else None)
