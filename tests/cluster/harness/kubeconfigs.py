"""Kubeconfigs of other people: somebody with fewer rights, and ways to a server that is not there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.harness.cluster import Cluster
from tests.cluster.harness.namespace import Namespace


def copied(cluster: Cluster, to: Path, **cluster_keys: Any) -> Path:
    """The test cluster's kubeconfig with other keys of its cluster, such as `server`."""
    document = yaml.safe_load(cluster.kubeconfig.read_text())
    document["clusters"][0]["cluster"] |= cluster_keys
    to.write_text(yaml.safe_dump(document))
    return to


def of_somebody(cluster: Cluster, home: Namespace, to: Path, rules: Sequence[dict[str, Any]]) -> Path:
    """A kubeconfig with the rights that `rules` (of a ClusterRole) give, and no others."""
    name = f"somebody-{home.name}"
    home.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "somebody"}})
    group = "rbac.authorization.k8s.io"
    cluster.apply(
        {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": list(rules)},
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": "somebody", "namespace": home.name}],
        },
    )
    token = home.kubectl("create", "token", "somebody").strip()
    document = yaml.safe_load(cluster.kubeconfig.read_text())
    document["users"][0]["user"] = {"token": token}
    to.write_text(yaml.safe_dump(document))
    return to


def forget_somebody(cluster: Cluster, home: Namespace) -> None:
    """Delete what `of_somebody` made outside the namespace."""
    name = f"somebody-{home.name}"
    cluster.kubectl("delete", "clusterrole,clusterrolebinding", name, "--ignore-not-found")
