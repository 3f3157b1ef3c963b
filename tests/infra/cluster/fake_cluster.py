"""A cluster in a thread: the API of kubeapi's tests, and what controllers, kubelets and gateways would do there."""

from __future__ import annotations

import asyncio
import concurrent.futures
import copy
import json
import threading
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

from aiohttp import web
from aiohttp.test_utils import TestServer

from runtime.contract import cluster as names
from runtime.contract.names import VERSION_HEADER
from runtime.contract.route import RouteTable
from runtime.kubeapi import Object
from tests.runtime.kubeapi.fake_api import FakeApi, _matches, _split, _status

Result = TypeVar("Result")
NAMESPACE = "llm"
Started = Callable[[str], dict[str, Any]]
"""A version's hash -> the status of a pod of it, as soon as it is made."""


def moment() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ready(hash: str) -> dict[str, Any]:
    """A pod that is ready at once."""
    conditions = [
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": moment()},
        {"type": "Ready", "status": "True", "lastTransitionTime": moment()},
    ]
    state = {"running": {"startedAt": moment()}}
    containers = [{"name": "replica", "state": state, "restartCount": 0}]
    return {"phase": "Running", "podIP": "10.0.0.9", "conditions": conditions, "containerStatuses": containers}


def pending(words: str = "0/3 nodes are available: 3 Insufficient memory.") -> Started:
    """A pod that the scheduler cannot place."""
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words}
    return lambda hash: {"phase": "Pending", "conditions": [condition]}


class FakeCluster(FakeApi):
    """Objects, with namespaces that must exist; Deployments get pods, gateways apply routes."""

    def __init__(self) -> None:
        super().__init__()
        self.starts: Started = ready
        self.applies = True
        self.busy_with: list[str] = []
        self.made = 0
        self.quota = ""  # set: no pod can be made, for this reason
        self._lock = threading.RLock()

    # For tests, from their thread -------------------------------------------------------------------------------------

    def namespace(self, **annotations: str) -> None:
        self.put("namespaces", "", {"metadata": {"name": NAMESPACE, "annotations": annotations}})

    def declare(self, service: str, hash: str) -> None:
        """The Deployment that pulumi_kubernetes would make."""
        labels = {names.PART: names.PART_VERSION, names.SERVICE: service, names.HASH: hash}
        spec = {"replicas": 1, "template": {"metadata": {"labels": labels}}}
        name = names.version_name(service, hash)
        self.put(
            "deployments", NAMESPACE, {"metadata": {"name": name, "labels": labels, "generation": 1}, "spec": spec}
        )

    def gateway(
        self, name: str = "inferform-gateway-a", *, is_ready: bool = True, status: dict[str, Any] | None = None
    ) -> None:
        """A gateway pod and its Lease. `status`: of one that is not ready."""
        marks = {names.PART: names.PART_GATEWAY}
        status = ready("") if is_ready and status is None else status or {"phase": "Running"}
        spec = {"containers": [{"name": "gateway", "image": "registry.test/inferform:1"}]}
        self.put("pods", NAMESPACE, {"metadata": {"name": name, "labels": marks}, "spec": spec, "status": status})
        self.put("leases", NAMESPACE, {"metadata": {"name": name, "labels": {names.PART: names.PART_REPORT}}})
        self.report()

    def pods_of(self, hash: str) -> list[Object]:
        return [
            each
            for (plural, _, _), each in self.objects.items()
            if plural == "pods" and each["metadata"]["labels"].get(names.HASH) == hash
        ]

    def row(self, service: str, hash: str) -> dict[str, Any]:
        kept = self.get("configmaps", NAMESPACE, names.version_name(service, hash))["data"][names.VERSION_KEY]
        found: dict[str, Any] = json.loads(kept)
        return found

    def replicas(self, service: str, hash: str) -> int:
        return int(self.get("deployments", NAMESPACE, names.version_name(service, hash))["spec"]["replicas"])

    # What runs in a cluster -------------------------------------------------------------------------------------------

    def _store(self, plural: str, namespace: str, body: Object, kind: str) -> Object:
        body = copy.deepcopy(body)
        body["metadata"]["managedFields"] = [{"manager": "test", "time": moment()}]
        item = super()._store(plural, namespace, body, kind)
        if plural == "deployments" and "status" not in body.get("_", {}):
            self.step(item)
        if plural == "configmaps" and names.ROUTE_KEY in (item.get("data") or {}):
            self.report()
        return item

    def step(self, deployment: Object) -> None:
        """Bring the pods of a Deployment to their number."""
        wish, labels = deployment["spec"]["replicas"], deployment["spec"]["template"]["metadata"]["labels"]
        hash = labels[names.HASH]
        there = self.pods_of(hash)
        for pod in there[wish:]:
            self.remove("pods", NAMESPACE, pod["metadata"]["name"])
        for _ in range(wish - len(there)):
            if self.quota:
                condition = {"type": "ReplicaFailure", "status": "True", "message": self.quota}
                deployment["status"] = {"observedGeneration": 1, "conditions": [condition]}
                self._tell("deployments", NAMESPACE, "MODIFIED", self._next(deployment))
                break
            self.made += 1
            name = f"{deployment['metadata']['name']}-{self.made}"
            metadata = {"name": name, "labels": labels, "creationTimestamp": moment()}
            spec = {"containers": [{"name": "replica", "image": "registry.test/inferform:1"}]}
            self.put("pods", NAMESPACE, {"metadata": metadata, "spec": spec, "status": self.starts(hash)})

    def report(self) -> None:
        """Gateways apply the routes there are, and say so."""
        if not self.applies:
            return
        tables = [
            RouteTable.from_json(each["data"][names.ROUTE_KEY])
            for (plural, _, _), each in list(self.objects.items())
            if plural == "configmaps" and names.ROUTE_KEY in (each.get("data") or {})
        ]
        said = {
            names.APPLIED: json.dumps({table.service: table.generation for table in tables}),
            names.BUSY: json.dumps(self.busy_with),
        }
        for (plural, namespace, _), each in list(self.objects.items()):
            if plural == "leases" and each["metadata"].get("labels", {}).get(names.PART) == names.PART_REPORT:
                super()._store(
                    plural, namespace, {**each, "metadata": {**each["metadata"], "annotations": said}}, "MODIFIED"
                )

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/version":
            return web.json_response({"gitVersion": "v1.34.1"})
        namespace, plural, _, _ = _split(request.path)
        if request.method == "POST" and namespace and ("namespaces", "", namespace) not in self.objects:
            return _status(404, "NotFound", f'namespaces "{namespace}" not found')
        if request.method == "DELETE" and plural == "namespaces":
            for key in [each for each in self.objects if each[1] == _split(request.path)[2]]:
                self.remove(*key)
        return await super().handle(request)


class ClusterThread:
    """A FakeCluster on a loop of its own; `url` is its API server."""

    def __init__(self) -> None:
        self.cluster = FakeCluster()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self._servers: list[TestServer] = []
        self.answers_as: dict[str, str] = {}
        self.url = self.run(self._serve(self.cluster.handle))
        self.cluster.url = self.url

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        future: concurrent.futures.Future[Result] = asyncio.run_coroutine_threadsafe(work, self.loop)
        return future.result(10)

    def do(self, work: Callable[[], Result]) -> Result:
        """Something with the cluster, on its loop."""

        async def call() -> Result:
            return work()

        return self.run(call())

    def serve_gateway(self, pod: str = "inferform-gateway-a") -> None:
        """A gateway that answers every generation as the version that was asked for."""

        async def answer(request: web.Request) -> web.Response:
            hash = request.headers.get(VERSION_HEADER, "")
            return web.json_response({"response": ""}, headers={VERSION_HEADER: self.answers_as.get(hash, hash)})

        self.cluster.pods[pod, names.GATEWAY_PORT] = int(self.run(self._serve(answer)).rpartition(":")[2])

    def serve_status(self, pod: str, status: str) -> None:
        """What a replica says at `/-/status`."""

        async def answer(request: web.Request) -> web.Response:
            return web.Response(text=status, content_type="application/json")

        self.cluster.pods[pod, names.REPLICA_PORT] = int(self.run(self._serve(answer)).rpartition(":")[2])

    async def _serve(self, handle: Callable[[web.Request], Any]) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handle)
        server = TestServer(app)
        await server.start_server()
        self._servers.append(server)
        return str(server.make_url("")).rstrip("/")

    def close(self) -> None:
        self.do(self.cluster.drop_watches)
        for server in self._servers:
            self.run(server.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


__all__ = ["NAMESPACE", "ClusterThread", "FakeCluster", "_matches", "pending", "ready"]
