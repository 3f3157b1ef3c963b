"""The handlers where the state is a cluster's: the same calls, behind them the Kubernetes API."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from infra.cluster import Connections
from infra.hostclient import HostGone, HostProblem
from infra.provider.handlers import InitFailed
from infra.provider.handlers.namespace import NamespaceHandler
from infra.provider.handlers.rollout import RolloutHandler
from infra.provider.handlers.route import RouteHandler
from infra.provider.handlers.token import TokenHandler
from infra.provider.handlers.version import VersionHandler
from infra.provider.hosts import Hosts
from infra.provider.operation import Operation, Refused
from runtime.contract.cluster import MANAGED_BY, PART, PART_GATEWAY, ClusterAddress
from runtime.contract.host import VersionFailure
from runtime.contract.version import EngineKind, Method, VersionTemplate
from tests.infra.cluster.fake_cluster import NAMESPACE, ClusterThread, pending
from tests.infra.conftest import connections_to
from tests.infra.provider.conftest import Said

STATE = str(ClusterAddress(namespace=NAMESPACE, context="test", kubeconfig="/home/ana/kubeconfig"))
PLACE = f"kubernetes://test/{NAMESPACE}"
TEMPLATE = VersionTemplate(method=Method.STANDARD, engine=EngineKind.SCRIPTED)
OTHER = TEMPLATE.model_copy(update={"concurrency": 3})
HASH, NEW = TEMPLATE.hash(), OTHER.hash()
GATEWAY = f"http://inferform-gateway.{NAMESPACE}:8080"


@pytest.fixture
def hosts(connections: Connections) -> Hosts:
    return Hosts(connections=connections)


@pytest.fixture
def stack(hosts: Hosts, thread: ClusterThread, operation: Operation) -> Stack:
    made = Stack(hosts, thread, operation)
    made.namespace()
    thread.do(thread.cluster.gateway)
    thread.serve_gateway()
    return made


def declared(template: VersionTemplate) -> dict[str, Any]:
    """A version's inputs."""
    return {
        "state": STATE, "service": "chat", "name": "v1", "hash": template.hash(), "template": template.to_data(),
        "replicas": {"min": 1, "max": 4},
    }  # fmt: skip


class Stack:
    """The creates of a stack in their order."""

    def __init__(self, hosts: Hosts, thread: ClusterThread, operation: Operation) -> None:
        self.hosts, self.thread, self.operation = hosts, thread, operation

    def make(self, kind: Any, values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        handler = kind(self.hosts)
        filled, failures = handler.check({}, values, self.operation)
        assert failures == []
        made: tuple[str, dict[str, Any]] = handler.create(filled, handler.inputs.model_validate(filled), self.operation)
        return made

    def remove(self, kind: Any, values: dict[str, Any]) -> None:
        handler = kind(self.hosts)
        handler.delete("id", {}, handler.inputs.model_validate(values), self.operation)

    def namespace(self) -> tuple[str, dict[str, Any]]:
        return self.make(NamespaceHandler, {"state": STATE, "stack": "proj.dev"})

    def version(self, template: VersionTemplate = TEMPLATE) -> tuple[str, dict[str, Any]]:
        made = self.make(VersionHandler, declared(template))
        self.thread.do(lambda: self.thread.cluster.declare("chat", template.hash()))
        return made

    def rollout(self, hash: str = HASH, **more: Any) -> tuple[str, dict[str, Any]]:
        values = {"state": STATE, "endpoint": GATEWAY, "service": "chat", "hash": hash, "token": "t" * 20}
        return self.make(RolloutHandler, {**values, "replicas": {"min": 1, "max": 4}, **more})

    def route(self, hash: str = HASH, **more: Any) -> tuple[str, dict[str, Any]]:
        versions = {"v1": {"hash": hash, "weight": 100}}
        values = {"state": STATE, "gateway": GATEWAY, "service": "chat", "versions": versions}
        return self.make(RouteHandler, {**values, **more})


def test_a_stack_comes_up_moves_and_goes(stack: Stack, thread: ClusterThread, said: Said) -> None:
    assert stack.make(TokenHandler, {"state": STATE, "service": "chat"})[0] == f"{PLACE}|chat"
    assert stack.version()[0] == f"{PLACE}|chat/{HASH}"
    assert stack.rollout()[1]["proven"] is True
    assert stack.route()[1]["endpoint"] == f"{GATEWAY}/api/predict/chat"
    assert thread.cluster.replicas("chat", HASH) == 1
    stack.version(OTHER)
    stack.rollout(NEW)
    old = {"state": STATE, "service": "chat", "hash": HASH}
    new = {**old, "hash": NEW}
    proof = {"endpoint": GATEWAY, "token": "t" * 20}
    with pytest.raises(Refused, match="still sends 100 %"):
        stack.remove(RolloutHandler, {**old, **proof})
    assert stack.route(NEW)[1]["generation"] == 2
    stack.remove(RolloutHandler, {**old, **proof})
    stack.remove(VersionHandler, {**old, "name": "v1", "template": TEMPLATE.to_data()})
    assert thread.cluster.pods_of(HASH) == []
    stack.remove(RouteHandler, {"state": STATE, "gateway": GATEWAY, "service": "chat", "versions": {}})
    stack.remove(RolloutHandler, {**new, **proof})
    stack.remove(VersionHandler, {**new, "name": "v1", "template": OTHER.to_data()})
    stack.remove(TokenHandler, {"state": STATE, "service": "chat"})
    stack.remove(NamespaceHandler, {"state": STATE, "stack": "proj.dev"})
    assert [key for key in thread.cluster.objects if NAMESPACE in key] == []


def test_a_recreate_rests_the_old_version_first(stack: Stack, thread: ClusterThread) -> None:
    stack.version()
    stack.rollout()
    stack.route()
    stack.version(OTHER)
    stack.rollout(NEW, strategy="recreate")
    assert (thread.cluster.replicas("chat", HASH), thread.cluster.replicas("chat", NEW)) == (0, 1)


def test_a_version_that_fails_is_scaled_to_zero_and_the_old_one_stays(stack: Stack, thread: ClusterThread) -> None:
    stack.version()
    stack.rollout()
    stack.route()
    words = '{"phase": "weights", "reason": "tensor lm_head is truncated"}'
    ended = {"terminated": {"exitCode": 1, "message": words}}
    thread.cluster.starts = lambda hash: {
        "phase": "Running",
        "containerStatuses": [{"name": "replica", "restartCount": 0, "state": ended}],
    }
    stack.version(OTHER)
    with pytest.raises(Refused) as raised:
        stack.rollout(NEW)
    text = str(raised.value)
    assert "service chat, version v1" in text
    assert "failed in phase weights: tensor lm_head is truncated" in text
    assert "log of chat-" in text, "the log's last lines"
    assert (thread.cluster.replicas("chat", HASH), thread.cluster.replicas("chat", NEW)) == (1, 0)
    kept = VersionFailure.model_validate(thread.cluster.row("chat", NEW)["failure"])
    assert kept.reason == "tensor lm_head is truncated"


def test_a_schedule_that_takes_too_long_ends_with_the_schedulers_words(stack: Stack, thread: ClusterThread) -> None:
    thread.cluster.starts = pending("0/3 nodes are available: 3 Insufficient memory.")
    stack.version()
    with pytest.raises(Refused, match=r"rollout.timeouts.schedule\).*3 Insufficient memory"):
        stack.rollout(timeouts={"schedule": 0.3})


PLACED = {"type": "PodScheduled", "status": "True"}
CREATING = {"phase": "Pending", "conditions": [PLACED]}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    """The status of a gateway's pod whose container waits."""
    state = {"waiting": {"reason": reason, "message": message}}
    return {**CREATING, "containerStatuses": [{"name": "gateway", "state": state, "restartCount": 0}]}


def test_a_gateway_that_is_on_its_way_costs_the_proof_nothing(stack: Stack, thread: ClusterThread, said: Said) -> None:
    thread.do(lambda: thread.cluster.gateway(status=CREATING))
    stack.version()
    later = threading.Timer(1.5, lambda: thread.do(thread.cluster.gateway))
    later.start()
    assert stack.rollout(timeouts={"firstToken": 0.5})[1]["proven"] is True
    later.join()
    text = "waiting for the gateway: 0 of 1 pods of inferform-gateway are ready (its container is being created)"
    assert text in said.text


def test_a_route_waits_for_gateways_that_are_on_their_way(
    stack: Stack, thread: ClusterThread, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.provider.handlers.route.APPLY_SECONDS", 0.5)
    monkeypatch.setattr("infra.provider.handlers.route.SLICE_SECONDS", 0.1)
    thread.do(lambda: thread.cluster.gateway(status=CREATING))
    stack.version()
    later = threading.Timer(1.5, lambda: thread.do(thread.cluster.gateway))
    later.start()
    assert stack.route()[1]["generation"] == 1
    later.join()
    assert "waiting for the gateway: 0 of 1 pods" in said.text


def test_a_gateway_that_cannot_start_ends_proof_and_route_with_the_clusters_words(
    stack: Stack, thread: ClusterThread
) -> None:
    stack.version()
    thread.do(lambda: thread.cluster.gateway(status=waiting("ImagePullBackOff", "manifest unknown")))
    words = r"inferform-gateway-a: image registry.test/inferform:1 cannot be pulled: manifest unknown"
    with pytest.raises(Refused, match=words):
        stack.rollout()
    with pytest.raises(InitFailed) as problem:
        stack.route()
    assert "no gateway applies generation 1" in problem.value.reasons[0]
    assert "manifest unknown" in problem.value.reasons[0]


def test_gateways_are_waited_for_in_bounds(
    stack: Stack, thread: ClusterThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.provider.gateway_wait.START_SECONDS", 0.3)
    thread.do(lambda: thread.cluster.gateway(status=CREATING))
    stack.version()
    with pytest.raises(Refused, match=r"no gateway can be asked: 0 of 1 pods of inferform-gateway .* after 0.3 s"):
        stack.rollout()


def test_a_route_that_no_gateway_applies_is_there_and_not_healthy(
    stack: Stack, thread: ClusterThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.provider.handlers.route.APPLY_SECONDS", 0.1)
    monkeypatch.setattr("infra.provider.handlers.route.SLICE_SECONDS", 0.1)
    stack.version()
    thread.cluster.applies = False
    with pytest.raises(InitFailed, match=f"kubectl -n {NAMESPACE} logs -l inferform.io/part=gateway"):
        stack.route()


def test_a_preview_asks_no_cluster_and_an_up_repairs_what_a_refresh_saw(hosts: Hosts, thread: ClusterThread) -> None:
    asked = len(thread.cluster.calls)
    rollout = {"state": STATE, "endpoint": GATEWAY, "service": "chat", "hash": HASH, "token": "t"}
    assert RolloutHandler(hosts).drift("id", rollout, {"proven": True}) == ""
    assert RolloutHandler(hosts).drift("id", rollout, {"proven": False}) != ""
    assert RolloutHandler(hosts).drift("id", {**rollout, "stopped": True}, {"proven": False}) == ""
    token = {"state": STATE, "service": "chat"}
    assert TokenHandler(hosts).drift("id", token, {"present": True}) == ""
    assert "lost" in TokenHandler(hosts).drift("id", token, {"present": False})
    assert len(thread.cluster.calls) == asked


def test_a_refresh_sees_what_is_gone_and_what_does_not_run(stack: Stack, thread: ClusterThread) -> None:
    id, outputs = stack.version()
    stack.rollout()
    rollout = {"state": STATE, "endpoint": GATEWAY, "service": "chat", "hash": HASH, "token": "t"}
    handler = RolloutHandler(stack.hosts)
    found = handler.read(id, rollout, {"proven": True}, stack.operation)
    assert found is not None
    assert found[1]["proven"] is True
    [pod] = thread.cluster.pods_of(HASH)
    dead = {"phase": "Running", "containerStatuses": [{"name": "replica", "state": {"terminated": {"exitCode": 1}}}]}
    thread.do(lambda: thread.cluster.put("pods", NAMESPACE, {**pod, "status": dead}))
    deadline = time.monotonic() + 10  # the client watches pods: it hears of the change a moment later
    while (found := handler.read(id, rollout, {"proven": True}, stack.operation)) and found[1]["proven"]:
        assert time.monotonic() < deadline, "the end of the pod is not seen"
        time.sleep(0.02)
    assert found is not None
    thread.do(lambda: thread.cluster.remove("configmaps", NAMESPACE, f"chat-{HASH}"))
    later = connections_to(thread.url)
    assert VersionHandler(Hosts(connections=later)).read(id, declared(TEMPLATE), outputs, stack.operation) is None
    later.close()


def test_a_refresh_sees_that_pods_of_a_version_could_not_start(stack: Stack, thread: ClusterThread) -> None:
    id, outputs = stack.version()
    handler = VersionHandler(stack.hosts)
    assert handler.drift(id, declared(TEMPLATE), outputs) == ""
    thread.do(lambda: thread.cluster.remove("configmaps", NAMESPACE, f"chat-{HASH}-spec"))
    found = handler.read(id, declared(TEMPLATE), outputs, stack.operation)
    assert found is not None
    assert handler.drift(id, declared(TEMPLATE), found[1]) == "what its replicas read at their start was gone"
    stack.version()
    found = handler.read(id, declared(TEMPLATE), outputs, stack.operation)
    assert found is not None
    assert handler.drift(id, declared(TEMPLATE), found[1]) == ""


def test_an_import_knows_all_from_its_id(stack: Stack) -> None:
    stack.version()
    stack.rollout()
    stack.route()
    found = NamespaceHandler(stack.hosts).read(PLACE, {}, {}, stack.operation)
    assert found == (
        {"state": PLACE, "stack": "proj.dev", "podSecurity": True},
        {"state": PLACE, "stack": "proj.dev", "podSecurity": True, "created": True, "version": "v1.34.1"},
    )
    route = RouteHandler(stack.hosts).read(f"{PLACE}|chat", {}, {}, stack.operation)
    assert route is not None
    assert route[1]["endpoint"] == f"{GATEWAY}/api/predict/chat"
    rollout = RolloutHandler(stack.hosts).read(f"{PLACE}|chat/{HASH}", {}, {}, stack.operation)
    assert rollout is not None
    assert (rollout[0]["endpoint"], rollout[0]["share"]) == (GATEWAY, 100)


def test_a_cluster_that_cannot_be_reached_fails_a_refresh(operation: Operation) -> None:
    nowhere = connections_to("http://127.0.0.1:9")
    inputs = {"state": STATE, "service": "chat", "rotation": 1}
    handler = TokenHandler(Hosts(connections=nowhere))
    with pytest.raises(HostGone, match=r"target\.context: the Kubernetes API at http://127.0.0.1:9 does not answer"):
        handler.read(f"{PLACE}|chat", inputs, {"token": "t"}, operation)
    nowhere.close()


@pytest.mark.parametrize(
    ("kubeconfig", "context", "words"),
    [
        ("contexts: [{name: a, context: {}}, {name: b, context: {}}]", "c", r"target\.context: .* 'c'; .*: a, b"),
        (None, "c", r"target\.kubeconfig: there is no kubeconfig: looked at .*config"),
    ],
)
def test_a_context_that_is_not_there_is_named(
    tmp_path: Any, operation: Operation, kubeconfig: str | None, context: str, words: str
) -> None:
    path = tmp_path / "config"
    if kubeconfig is not None:
        path.write_text(f"{{apiVersion: v1, kind: Config, {kubeconfig}}}")
    state = str(ClusterAddress(namespace=NAMESPACE, context=context, kubeconfig=str(path)))
    handler = NamespaceHandler(Hosts())
    with pytest.raises(HostGone, match=words):
        handler.create({}, handler.inputs.model_validate({"state": state, "stack": "proj.dev"}), operation)


def test_without_its_namespace_nothing_is_written(hosts: Hosts, operation: Operation) -> None:
    with pytest.raises(Refused, match="its Namespace resource makes it"):
        hosts.writer(STATE, operation)
    assert hosts.remover(STATE, operation) is None


def test_another_stacks_namespace_is_refused(stack: Stack, connections: Connections, said: Said) -> None:
    other = Operation("urn:pulumi:prod::proj::inferform:index:Token::chat", said)
    with pytest.raises(HostProblem, match=r"belongs to the stack proj\.dev, this is proj\.prod"):
        Hosts(connections=connections).writer(STATE, other)


def test_one_run_asks_for_one_epoch(stack: Stack, connections: Connections) -> None:
    stack.version()
    stack.version(OTHER)
    assert stack.hosts.cluster(STATE).host().epoch == 1
    later = Stack(Hosts(connections=connections), stack.thread, stack.operation)
    later.version()
    assert stack.hosts.cluster(STATE).host().epoch == 2
    with pytest.raises(HostProblem, match="epoch 1 is older than 2"):
        stack.version()


def test_a_kubeconfig_that_moved_is_no_other_place(hosts: Hosts) -> None:
    handler = TokenHandler(hosts)
    moved = str(ClusterAddress(namespace=NAMESPACE, context="test", kubeconfig="/elsewhere"))
    assert "state" not in handler.replaces({"state": STATE}, {"state": moved})
    assert "state" in handler.replaces({"state": STATE}, {"state": f"kubernetes://prod/{NAMESPACE}"})
    assert "state" in handler.replaces({"state": STATE}, {"state": "/home/ana/.inferform/dev"})


@pytest.mark.parametrize("state", ["/home/ana/.inferform/dev", "kubernetes://prod", "kubernetes://prod/a/b"])
def test_a_namespace_needs_a_clusters_address(hosts: Hosts, operation: Operation, state: str) -> None:
    _, failures = NamespaceHandler(hosts).check({}, {"state": state, "stack": "proj.dev"}, operation)
    assert [failure.property for failure in failures] == ["state"]


def test_a_service_costs_few_calls(stack: Stack, thread: ClusterThread) -> None:
    stack.version(OTHER)  # what is followed is listed once
    stack.rollout(NEW)
    thread.cluster.calls.clear()
    stack.make(TokenHandler, {"state": STATE, "service": "chat"})
    stack.version()
    stack.rollout()
    stack.route()
    ours = [call for call in thread.cluster.calls if not call.startswith("WATCH")]
    assert len(ours) <= 30, ours


def test_a_namespace_is_deleted_when_its_last_pod_has_gone(stack: Stack, thread: ClusterThread) -> None:
    labels = {**MANAGED_BY, PART: PART_GATEWAY}
    pod = {"metadata": {"name": "last", "labels": labels}, "status": {"phase": "Running"}}
    thread.do(lambda: thread.cluster.put("pods", NAMESPACE, pod))
    removal = threading.Thread(target=stack.remove, args=(NamespaceHandler, {"state": STATE, "stack": "proj.dev"}))
    looked = thread.cluster.calls.count("LIST pods") + 1
    removal.start()
    deadline = time.monotonic() + 10
    while thread.cluster.calls.count("LIST pods") <= looked and time.monotonic() < deadline:
        time.sleep(0.01)
    assert f"DELETE namespaces/{NAMESPACE}" not in thread.cluster.calls
    thread.do(lambda: thread.cluster.remove("pods", NAMESPACE, "last"))
    removal.join(10)
    assert f"DELETE namespaces/{NAMESPACE}" in thread.cluster.calls
