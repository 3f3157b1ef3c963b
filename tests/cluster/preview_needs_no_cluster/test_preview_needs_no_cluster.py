"""Previews before a cluster is there, while it is away, and for somebody who may only read."""

from __future__ import annotations

from pathlib import Path

from tests.cluster.harness import ClusterProject, Namespace, small
from tests.cluster.harness.kubeconfigs import copied, forget_somebody, of_somebody

NOBODY_LISTENS = "https://127.0.0.1:9"
READ = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]


def test_the_whole_diff_shows_while_the_cluster_is_away(project: ClusterProject, tmp_path: Path) -> None:
    usual = dict(project.changes_of_target)
    away = copied(project.cluster, tmp_path / "away", server=NOBODY_LISTENS)
    project.changes_of_target = {**usual, "kubeconfig": str(away)}
    project.environment["KUBECONFIG"] = str(away)
    project.write({"chat": small("one")})
    assert {"chat", "inferform-gateway"} <= set(project.changes()), "before anything was made"

    project.changes_of_target = usual
    project.environment["KUBECONFIG"] = str(project.cluster.kubeconfig)
    project.write({"chat": small("one")})
    project.up()
    project.changes_of_target = {**usual, "kubeconfig": str(away)}
    project.environment["KUBECONFIG"] = str(away)
    project.write({"chat": small("two", replicas={"min": 1, "max": 3})})
    changes = project.changes()
    assert "create" in changes.values(), changes
    assert "delete" in changes.values(), changes

    project.changes_of_target = usual
    project.environment["KUBECONFIG"] = str(project.cluster.kubeconfig)


def test_who_may_only_read_can_preview(project: ClusterProject, namespace: Namespace, tmp_path: Path) -> None:
    project.write({"chat": small("one")})
    project.up()
    usual = dict(project.changes_of_target)
    reader = of_somebody(project.cluster, namespace, tmp_path / "reader", READ)
    try:
        project.changes_of_target = {**usual, "kubeconfig": str(reader)}
        project.environment["KUBECONFIG"] = str(reader)
        project.write({"chat": small("two")})
        changes = project.changes()
        assert "create" in changes.values(), changes
    finally:
        project.changes_of_target = usual
        project.environment["KUBECONFIG"] = str(project.cluster.kubeconfig)
        forget_somebody(project.cluster, namespace)
