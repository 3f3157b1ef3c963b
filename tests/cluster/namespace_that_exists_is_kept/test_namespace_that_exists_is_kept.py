"""A namespace with other people's objects: ours come and go, theirs stay."""

from __future__ import annotations

from tests.cluster.harness import ClusterProject, Namespace, small
from tests.e2e.harness import ask


def test_what_was_there_is_as_it_was(project: ClusterProject, namespace: Namespace) -> None:
    namespace.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs"}, "data": {"a": "b"}})
    before = project.cluster.get("namespace", namespace.name)["metadata"]
    project.namespace = namespace.name
    project.write({"chat": small("guest")})
    project.up()
    assert ask(project.endpoint, "chat", project.token()).text == "guest"
    during = project.cluster.get("namespace", namespace.name)["metadata"]
    assert (during.get("labels"), during.get("annotations")) == (before.get("labels"), before.get("annotations"))
    project.destroy()
    after = project.cluster.get("namespace", namespace.name)["metadata"]
    assert after["uid"] == before["uid"]
    kinds = "all,configmaps,secrets,leases,serviceaccounts,roles,rolebindings,networkpolicies,poddisruptionbudgets"
    namespace.cluster.wait_until(lambda: not namespace.items("pods"), 60, "our pods are gone")
    left = {f"{each['kind']}/{each['metadata']['name']}" for each in namespace.items(kinds)}
    assert left <= {"ConfigMap/theirs", "ConfigMap/kube-root-ca.crt", "ServiceAccount/default"}, left
    project.namespace = "gone-already"  # nothing of the project is left for its own end to look at
