"""A namespace for one test, and small pods in it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.cluster.harness.cluster import Cluster
from tools.cluster.image import PAUSE


def pod(name: str, *arguments: str, **more: Any) -> dict[str, Any]:
    """A pod of the cluster's own image (its words: tools/pause) that the restricted standard takes.

    `limits`: of its container, so that `{"nvidia.com/gpu": 1}` asks for a GPU; anything else: keys of its spec.
    """
    limits: Mapping[str, Any] = more.pop("limits", {})
    container = {
        "name": "main",
        "image": PAUSE,
        "args": list(arguments),
        "resources": {"limits": {key: str(value) for key, value in limits.items()}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"containers": [container], "securityContext": security, "terminationGracePeriodSeconds": 1, **more}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


class Namespace:
    """One namespace; the restricted Pod Security Standard is enforced in it unless said otherwise."""

    def __init__(self, cluster: Cluster, name: str, *, restricted: bool = True) -> None:
        self.cluster, self.name = cluster, name
        labels = {"pod-security.kubernetes.io/enforce": "restricted"} if restricted else {}
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        # Pods are refused until the namespace's service account is there.
        cluster.wait_until(lambda: self.items("serviceaccounts"), what=f"the service account of {name}")

    def kubectl(self, *arguments: str, seconds: float = 60) -> str:
        """kubectl in this namespace."""
        return self.cluster.kubectl("--namespace", self.name, *arguments, seconds=seconds)

    def apply(self, *documents: Mapping[str, Any]) -> None:
        """Create or change objects in it."""
        self.cluster.apply(*documents, namespace=self.name)

    def create(self, documents: Sequence[Mapping[str, Any]]) -> None:
        """Create many objects: a request each, nothing is looked up."""
        many = json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
        self.cluster.kubectl("--namespace", self.name, "create", "-f", "-", stdin=many, seconds=120)

    def delete_pods(self) -> None:
        """All of them at once, without grace, in one request."""
        self.kubectl("delete", "--raw", f"/api/v1/namespaces/{self.name}/pods?gracePeriodSeconds=0")
        self.cluster.wait_until(lambda: not self.items("pods"), what=f"no pod in {self.name}")

    def get(self, *arguments: str) -> dict[str, Any]:
        """One object of it."""
        return self.cluster.get("--namespace", self.name, *arguments)

    def items(self, *arguments: str) -> list[dict[str, Any]]:
        """Objects of it."""
        return self.cluster.items("--namespace", self.name, *arguments)

    def wait_for(self, what: str, condition: str, seconds: float = 60) -> None:
        """`kubectl wait --for=CONDITION WHAT`; where it does not come true, the events are in the error."""
        try:
            self.kubectl("wait", f"--for={condition}", what, f"--timeout={seconds:.0f}s", seconds=seconds + 30)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.events()}") from None

    def said(self, name: str, *arguments: str, **more: Any) -> str:
        """Run a pod of the cluster's own image to its end; what it printed. One that fails is an AssertionError."""
        self.apply(pod(name, *arguments, restartPolicy="Never", **more))
        self.wait_for(f"pod/{name}", "jsonpath={.status.containerStatuses[0].state.terminated}")
        ended = self.get("pod", name)["status"]["containerStatuses"][0]["state"]["terminated"]
        printed = self.kubectl("logs", name)
        assert ended["exitCode"] == 0, f"{' '.join(arguments)} exited with {ended['exitCode']}: {printed}"
        return printed

    def events(self) -> str:
        """What happened in it, for a failed test's report."""
        return self.kubectl("get", "events", "--sort-by=.lastTimestamp")

    def delete(self) -> None:
        """Delete it with everything in it; that goes on for seconds, and nobody else has its name."""
        self.cluster.kubectl("delete", "namespace", self.name, "--ignore-not-found", "--wait=false")
