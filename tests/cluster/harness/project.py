"""A throw-away Pulumi project that targets the test cluster: own folder, backend, Pulumi home and namespace."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runtime.contract.cluster import GATEWAY, GATEWAY_PORT, MANAGED_BY, TOKENS
from tests.cluster.harness.cluster import Cluster, ClusterCommandFailed
from tests.e2e.harness.project import Config, Project, scripted
from tools import build
from tools.cluster.layout import CONTEXT

MANAGED = ",".join(f"{key}={value}" for key, value in MANAGED_BY.items())


def small(text: str = "hello from one", **changes: Any) -> Config:
    """A service on the scripted engine, of a size that the test cluster's node has room for many of."""
    resources = {"cpus": 0.1, "memoryGiB": 0.5, **changes.pop("resources", {})}
    return scripted(text, resources=resources, **changes)


class ClusterProject(Project):
    """As on local, with `kind: kubernetes`; the commands are the same. Its end asserts that the namespace is gone."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        super().__init__(folder)
        self.cluster = cluster
        self.namespace = f"project-{self.port}"  # a port is one test's at a time
        self.changes_of_target: Config = {}
        """Keys that `target` gets, such as image or gateway."""
        self.environment |= {"KUBECONFIG": str(cluster.kubeconfig)}

    def plugins(self) -> dict[str, Path]:
        """Also Pulumi's provider for Kubernetes."""
        return {**super().plugins(), "kubernetes": build.ensure("kubernetes-provider")}

    def target(self) -> Config:
        """The test cluster, a namespace of its own."""
        own = {"context": CONTEXT, "kubeconfig": str(self.cluster.kubeconfig), "namespace": self.namespace}
        return {"kind": "kubernetes", **own, **self.changes_of_target}

    @property
    def endpoint(self) -> str:
        """The gateway's service, as this machine reaches it."""
        address = self.get("service", GATEWAY)["spec"]["clusterIP"]
        return f"http://{address}:{GATEWAY_PORT}"

    @endpoint.setter
    def endpoint(self, local: str) -> None:
        """The local target's; not used here."""

    # The namespace ----------------------------------------------------------------------------------------------------

    def kubectl(self, *arguments: str) -> str:
        """kubectl in the project's namespace."""
        return self.cluster.kubectl("--namespace", self.namespace, *arguments)

    def get(self, *arguments: str) -> dict[str, Any]:
        """One object of it."""
        return self.cluster.get("--namespace", self.namespace, *arguments)

    def items(self, *arguments: str) -> list[dict[str, Any]]:
        """Objects of it."""
        return self.cluster.items("--namespace", self.namespace, *arguments)

    def pods(self, labels: Mapping[str, str] = MANAGED_BY) -> list[dict[str, Any]]:
        """Its pods with these labels."""
        return self.items("pods", "--selector", ",".join(f"{key}={value}" for key, value in labels.items()))

    def ready(self, labels: Mapping[str, str]) -> set[str]:
        """The names of its pods with these labels that are ready and not on their way out."""
        return {pod["metadata"]["name"] for pod in self.pods(labels) if is_ready(pod)}

    def token(self, service: str = "chat") -> str:
        """The service's present token, from the Secret."""
        kept = self.get("secret", TOKENS)["data"][service]
        token: str = json.loads(base64.b64decode(kept))["record"]["token"]
        return token

    def assert_nothing_left(self) -> None:
        """After destroy: no namespace, and nothing of ours that belongs to no namespace; no process here."""
        super().assert_nothing_left()
        self.cluster.wait_until(lambda: not self._there(), 60, f"the namespace {self.namespace} is gone")
        kinds = "clusterroles,clusterrolebindings,priorityclasses,apiservices"
        left = [found["metadata"]["name"] for found in self.cluster.items(kinds, "--selector", MANAGED)]
        left = [name for name in left if self.namespace in name]
        assert not left, f"objects are left: {left}"

    def kill_everything(self) -> None:
        """Also what a failed test leaves in the cluster."""
        super().kill_everything()
        self.cluster.kubectl("delete", "namespace", self.namespace, "--ignore-not-found", "--wait=false")

    def logs(self) -> str:
        """Pods, events and the tails of all containers' logs, for a failed test's report."""
        parts = []
        for words in (("get", "pods", "-o", "wide"), ("get", "events", "--sort-by=.lastTimestamp")):
            parts.append(self._asked(*words))
        for found in self.items("pods") if self._there() else []:
            name = found["metadata"]["name"]
            parts.append(f"--- {name}\n{self._asked('logs', name, '--all-containers', '--tail=25')}")
        return "\n".join(["", *parts])

    def _asked(self, *arguments: str) -> str:
        try:
            return self.kubectl(*arguments)
        except ClusterCommandFailed as error:
            return str(error)

    def _there(self) -> bool:
        return bool(self.cluster.kubectl("get", "namespace", self.namespace, "--ignore-not-found"))


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Does it take requests, and stay?"""
    conditions = {each["type"]: each["status"] for each in pod["status"].get("conditions", [])}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]
