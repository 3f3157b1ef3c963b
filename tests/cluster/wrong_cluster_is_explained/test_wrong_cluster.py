"""An API server that does not answer, a context that is not there, rights that are missing."""

from __future__ import annotations

from pathlib import Path

from tests.cluster.harness import ClusterProject, Namespace, small
from tests.cluster.harness.kubeconfigs import copied, forget_somebody, of_somebody
from tools.cluster.layout import CONTEXT

NOBODY_LISTENS = "https://127.0.0.1:9"
READ = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]


def errors(output: str) -> str:
    """What a person reads: no traceback of anybody."""
    assert "Traceback" not in output, output
    assert "goroutine" not in output, output
    return output


def test_each_is_one_clear_error_and_nothing_is_half_made(
    project: ClusterProject, namespace: Namespace, tmp_path: Path
) -> None:
    usual = dict(project.changes_of_target)
    try:
        away = copied(project.cluster, tmp_path / "away", server=NOBODY_LISTENS)
        project.changes_of_target = {**usual, "kubeconfig": str(away)}
        project.write({"chat": small("one")})
        output = errors(project.up(code=1))
        assert "127.0.0.1:9" in output, output

        project.changes_of_target = {**usual, "context": "prod"}
        project.write({"chat": small("one")})
        output = errors(project.up(code=1))
        assert "prod" in output, output
        assert CONTEXT in output, "it names the contexts that there are"

        reader = of_somebody(project.cluster, namespace, tmp_path / "reader", READ)
        project.changes_of_target = {**usual, "kubeconfig": str(reader)}
        project.write({"chat": small("one")})
        output = errors(project.up(code=1))
        assert "namespaces" in output, output
        assert "create" in output, output
    finally:
        project.changes_of_target = usual
        forget_somebody(project.cluster, namespace)
    assert not project.cluster.kubectl("get", "namespace", project.namespace, "--ignore-not-found")
    project.write({"chat": small("one")})
    project.up()
    project.assert_no_changes()
