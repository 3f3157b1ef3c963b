"""A stack on a cluster: rows that change by compare-and-swap, Deployments that follow, gateways that have applied."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from infra.cluster import ClusterClient, Connections
from infra.hostclient import HostProblem
from runtime.contract import cluster as names
from runtime.contract.host import Scale, TokenRecord, VersionRecord
from runtime.contract.phases import Phase
from runtime.contract.replica import ReplicaSpec
from runtime.contract.route import RouteTable, RouteVersion
from runtime.contract.version import Bounds, EngineKind, Method, VersionTemplate
from tests.infra.cluster.conftest import ADDRESS, STACK
from tests.infra.cluster.fake_cluster import NAMESPACE, ClusterThread, pending
from tests.infra.conftest import connections_to

TEMPLATE = VersionTemplate(method=Method.STANDARD, engine=EngineKind.SCRIPTED)
HASH = TEMPLATE.hash()
OTHER = TEMPLATE.model_copy(update={"concurrency": 3})


def record(template: VersionTemplate = TEMPLATE, *, low: int = 1, high: int = 4) -> VersionRecord:
    bounds = Bounds(min=low, max=high)
    return VersionRecord(service="chat", name="v1", hash=template.hash(), template=template, bounds=bounds)


def table(*hashes: str, stopped: bool = False) -> RouteTable:
    weights = {f"v{number}": RouteVersion(hash=hash, weight=100 // len(hashes)) for number, hash in enumerate(hashes)}
    return RouteTable(service="chat", versions=weights, stopped=stopped)


def deployed(client: ClusterClient, thread: ClusterThread, template: VersionTemplate = TEMPLATE) -> None:
    client.put_version(record(template))
    thread.do(lambda: thread.cluster.declare("chat", template.hash()))


def refused(code: str, work: Callable[[], object]) -> str:
    with pytest.raises(HostProblem) as problem:
        work()
    assert problem.value.code == code
    return problem.value.message


# Versions -------------------------------------------------------------------------------------------------------------


def test_a_version_is_a_row_and_runs_nothing(client: ClusterClient, thread: ClusterThread) -> None:
    state = client.put_version(record())
    assert (state.wanted, state.replicas, state.record.name) == (0, (), "v1")
    assert client.version("chat", HASH).record == record()
    refused("NotFound", lambda: client.version("chat", "0000000000"))


def test_a_version_that_is_there_is_adopted_with_new_bounds(client: ClusterClient) -> None:
    client.put_version(record())
    assert client.put_version(record(high=9)).record.bounds.max == 9
    assert client.version("chat", HASH).record.bounds.max == 9


def test_a_new_version_costs_a_write_for_its_spec_and_one_for_its_row(
    client: ClusterClient, thread: ClusterThread
) -> None:
    client.put_version(record())
    thread.cluster.calls.clear()
    client.put_version(record(OTHER))
    writes = [call for call in thread.cluster.calls if "inferform" not in call]
    assert writes == ["POST configmaps"] * 2


def test_what_its_pods_read_is_missed_and_put_back(client: ClusterClient, thread: ClusterThread) -> None:
    name = names.spec_name("chat", HASH)
    client.put_version(record())
    assert client.lacks("chat", HASH) == ""
    spec = ReplicaSpec.from_json(thread.cluster.get("configmaps", NAMESPACE, name)["data"][names.SPEC_KEY])
    assert (spec.service, spec.hash, spec.template) == ("chat", HASH, TEMPLATE)
    thread.do(lambda: thread.cluster.remove("configmaps", NAMESPACE, name))
    assert client.lacks("chat", HASH) == f"ConfigMap {name} is gone"
    client.put_version(record())
    assert client.lacks("chat", HASH) == ""


def test_a_lease_and_a_scale_bring_pods_and_its_end_keeps_them(client: ClusterClient, thread: ClusterThread) -> None:
    deployed(client, thread)
    state = client.lease("chat", HASH, 30)
    assert state.leased
    client.scale("chat", HASH, Scale(replicas=2))
    assert thread.cluster.replicas("chat", HASH) == 2
    wait_ready(client, 2)
    client.end_lease("chat", HASH)
    assert thread.cluster.replicas("chat", HASH) == 2
    assert not client.version("chat", HASH).leased


def wait_ready(client: ClusterClient, count: int, hash: str = HASH) -> None:
    for _ in range(50):
        state = client.version("chat", hash)
        if sum(replica.ready for replica in state.replicas) == count:
            return
        threading.Event().wait(0.05)
    raise AssertionError(state)


def test_a_count_outside_the_bounds_is_refused(client: ClusterClient, thread: ClusterThread) -> None:
    deployed(client, thread)
    assert "bounds 1 to 4" in refused("Invalid", lambda: client.scale("chat", HASH, Scale(replicas=5)))
    assert "needs a lease" in refused("Invalid", lambda: client.scale("chat", HASH, Scale(replicas=1, temporary=True)))


def test_a_temporary_count_ends_with_its_lease(client: ClusterClient, thread: ClusterThread) -> None:
    deployed(client, thread)
    client.lease("chat", HASH, 30)
    client.scale("chat", HASH, Scale(replicas=1, temporary=True))
    assert thread.cluster.replicas("chat", HASH) == 1
    client.end_lease("chat", HASH)
    assert thread.cluster.replicas("chat", HASH) == 0


def test_an_older_run_is_refused(client: ClusterClient, connections: Connections) -> None:
    newer = ClusterClient(ADDRESS, connections=connections)
    assert newer.new_epoch(stack=STACK) == 2
    text = refused("StaleEpoch", lambda: client.put_version(record()))
    assert text == "epoch 1 is older than 2"
    newer.put_version(record())  # an operator's hand needs none


def test_another_stack_gets_no_epoch_and_no_namespace(client: ClusterClient, connections: Connections) -> None:
    reader = ClusterClient(ADDRESS, connections=connections)
    assert "belongs to the stack proj.dev" in refused("ForeignState", lambda: reader.new_epoch(stack="other.dev"))
    refused("ForeignState", lambda: reader.ensure_namespace("other.dev", pod_security=True))
    refused("ForeignState", lambda: reader.remove_namespace("other.dev"))


def test_a_failure_is_kept_in_the_row_when_its_pods_go(client: ClusterClient, thread: ClusterThread) -> None:
    thread.cluster.starts = lambda hash: {
        "phase": "Pending",
        "conditions": [{"type": "PodScheduled", "status": "True"}],
        "containerStatuses": [
            {"name": "replica", "state": {"waiting": {"reason": "ErrImagePull", "message": "manifest unknown"}}}
        ],
    }
    deployed(client, thread)
    client.lease("chat", HASH, 30)
    client.scale("chat", HASH, Scale(replicas=1))
    for _ in range(50):
        if (failure := client.version("chat", HASH).failure) is not None:
            break
        threading.Event().wait(0.05)
    assert failure is not None
    assert failure.reason == "image registry.test/inferform:1 cannot be pulled: manifest unknown"
    client.scale("chat", HASH, Scale(replicas=0))
    client.end_lease("chat", HASH)
    kept = client.version("chat", HASH).failure
    assert kept is not None
    assert (kept.phase, kept.reason) == (Phase.IMAGE, failure.reason)
    assert client.lease("chat", HASH, 30).failure is None  # a new start


def test_a_new_lease_replaces_pods_that_wait_out_a_back_off(client: ClusterClient, thread: ClusterThread) -> None:
    waiting = {"name": "replica", "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "restartCount": 7}
    thread.cluster.starts = lambda hash: {"phase": "Running", "containerStatuses": [waiting]}
    deployed(client, thread)
    [stuck] = thread.cluster.pods_of(HASH)
    client.lease("chat", HASH, 30)
    assert stuck["metadata"]["name"] not in [each["metadata"]["name"] for each in thread.cluster.pods_of(HASH)]


def test_a_phase_inside_a_running_pod_is_its_replicas_own_word(client: ClusterClient, thread: ClusterThread) -> None:
    thread.cluster.starts = lambda hash: {
        "phase": "Running",
        "conditions": [{"type": "PodScheduled", "status": "True"}],
        "containerStatuses": [{"name": "replica", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}],
    }
    deployed(client, thread)
    [pod] = thread.cluster.pods_of(HASH)
    status = (
        '{"service":"chat","replica":"r","hash":"h","phase":"weights","since":5,"detail":"120 of 269 MB","ready":false}'
    )
    thread.serve_status(pod["metadata"]["name"], status)
    client.lease("chat", HASH, 30)
    [replica] = client.version("chat", HASH).replicas
    assert (replica.phase, replica.detail) == (Phase.WEIGHTS, "120 of 269 MB")
    forwards = [call for call in thread.cluster.calls if "portforward" in call]
    for _ in range(5):
        client.version("chat", HASH)
    assert [call for call in thread.cluster.calls if "portforward" in call] == forwards, "once a second at most"


def test_what_the_scheduler_says_is_shown(client: ClusterClient, thread: ClusterThread) -> None:
    thread.cluster.starts = pending("0/3 nodes are available: 1 Insufficient memory, 2 node(s) had untolerated taint.")
    deployed(client, thread)
    client.lease("chat", HASH, 30)
    [replica] = client.version("chat", HASH).replicas
    assert replica.phase is Phase.SCHEDULE
    assert "1 Insufficient memory" in replica.detail


def test_polls_ask_the_api_server_next_to_nothing(client: ClusterClient, thread: ClusterThread) -> None:
    deployed(client, thread)
    client.lease("chat", HASH, 30)
    client.scale("chat", HASH, Scale(replicas=1))
    wait_ready(client, 1)
    thread.cluster.calls.clear()
    for _ in range(20):
        client.version("chat", HASH)
    assert len(thread.cluster.calls) <= 2, thread.cluster.calls


def test_a_version_goes_when_nothing_runs_on_it(client: ClusterClient, thread: ClusterThread) -> None:
    deployed(client, thread)
    client.lease("chat", HASH, 30)
    client.scale("chat", HASH, Scale(replicas=2))
    client.put_route(table(HASH))
    assert "names version v1" in refused("InUse", lambda: client.delete_version("chat", HASH))
    assert "names version v1" in refused("InUse", lambda: client.drain("chat", HASH))
    client.delete_route("chat")
    client.delete_version("chat", HASH)
    assert thread.cluster.pods_of(HASH) == []
    for name in (names.version_name("chat", HASH), names.spec_name("chat", HASH)):
        assert ("configmaps", NAMESPACE, name) not in thread.cluster.objects
    client.delete_version("chat", HASH)  # absent is fine


def test_a_drain_waits_for_the_gateways(client: ClusterClient, thread: ClusterThread) -> None:
    deployed(client, thread)
    thread.cluster.busy_with = [f"chat/{HASH}"]
    thread.do(thread.cluster.report)
    done = threading.Event()

    def drain() -> None:
        client.drain("chat", HASH)
        done.set()

    waiter = threading.Thread(target=drain)
    waiter.start()
    assert not done.wait(0.4)
    thread.cluster.busy_with = []
    thread.do(thread.cluster.report)
    assert done.wait(5)
    waiter.join()


# Routes ---------------------------------------------------------------------------------------------------------------


def test_a_route_counts_its_changes_and_is_there_when_gateways_say_so(
    client: ClusterClient, thread: ClusterThread
) -> None:
    deployed(client, thread)
    deployed(client, thread, OTHER)
    first = client.put_route(table(HASH), url="http://chat.example/")
    assert first.table.generation == 1
    assert client.wait_route("chat", 1, seconds=5).applied == 1
    assert client.put_route(table(HASH)).table.generation == 1, "nothing changed"
    assert client.put_route(table(HASH, OTHER.hash())).table.generation == 2
    assert client.endpoint("chat") == "http://chat.example/"
    client.delete_route("chat")
    refused("NotFound", lambda: client.route("chat"))


def test_a_gateway_that_is_not_ready_need_not_apply(client: ClusterClient, thread: ClusterThread) -> None:
    deployed(client, thread)
    thread.do(lambda: thread.cluster.gateway("inferform-gateway-b", is_ready=False))
    thread.cluster.applies = False
    client.put_route(table(HASH))
    assert "1 gateways are ready" in refused("Invalid", lambda: client.wait_route("chat", 1, seconds=0.2))
    thread.cluster.applies = True
    thread.do(thread.cluster.report)
    assert client.wait_route("chat", 1, seconds=5).applied == 1


def test_a_route_names_only_known_versions_in_percents(client: ClusterClient, thread: ClusterThread) -> None:
    deployed(client, thread)
    assert f"known are: {HASH}" in refused("Invalid", lambda: client.put_route(table("0000000000")))
    half = RouteTable(service="chat", versions={"v1": RouteVersion(hash=HASH, weight=50)})
    assert "sum to 50" in refused("Invalid", lambda: client.put_route(half))


def test_stopping_scales_to_zero_and_starting_brings_the_count_back(
    client: ClusterClient, thread: ClusterThread
) -> None:
    deployed(client, thread)
    client.lease("chat", HASH, 30)
    client.scale("chat", HASH, Scale(replicas=3))
    client.end_lease("chat", HASH)
    client.put_route(table(HASH))
    client.put_route(table(HASH, stopped=True))
    assert thread.cluster.replicas("chat", HASH) == 0
    client.put_route(table(HASH))
    assert thread.cluster.replicas("chat", HASH) == 3


def test_a_service_that_is_born_stopped_keeps_no_pod(client: ClusterClient, thread: ClusterThread) -> None:
    deployed(client, thread)
    assert thread.cluster.replicas("chat", HASH) == 1, "a Deployment is born with one"
    client.put_route(table(HASH, stopped=True))
    assert thread.cluster.replicas("chat", HASH) == 0


def test_pods_are_poked_when_their_files_change(client: ClusterClient, thread: ClusterThread) -> None:
    deployed(client, thread)
    [pod] = thread.cluster.pods_of(HASH)

    def poked() -> str:
        found = thread.cluster.get("pods", NAMESPACE, pod["metadata"]["name"])
        return str(found["metadata"].get("annotations", {}).get(names.POKED, ""))

    client.put_route(table(HASH))
    first = poked()
    assert first.startswith("route 1")
    client.put_route(table(HASH))
    assert poked() == first
    client.put_token("chat", TokenRecord(token="a" * 20))
    assert poked().startswith("token 1")


# Tokens ---------------------------------------------------------------------------------------------------------------


def test_the_first_token_of_a_rotation_wins(client: ClusterClient) -> None:
    refused("NotFound", lambda: client.token("chat"))
    assert client.put_token("chat", TokenRecord(token="a" * 20)).token == "a" * 20
    assert client.put_token("chat", TokenRecord(token="b" * 20)).token == "a" * 20
    assert client.put_token("chat", TokenRecord(token="b" * 20, rotation=2)).token == "b" * 20
    client.delete_token("chat")
    refused("NotFound", lambda: client.token("chat"))


def test_tokens_that_are_written_at_once_by_two_processes_all_stay(
    client: ClusterClient, thread: ClusterThread
) -> None:
    other = connections_to(thread.url)
    second = ClusterClient(ADDRESS, connections=other).with_epoch(1)
    services = [f"service_{number:02}" for number in range(24)]
    writers = [
        threading.Thread(target=one.put_token, args=(service, TokenRecord(token=f"token of {service}")))
        for number, service in enumerate(services)
        for one in [(client, second)[number % 2]]
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [client.token(service).token for service in services] == [f"token of {service}" for service in services]
    assert names.REPLICA_KEY in thread.cluster.get("secrets", NAMESPACE, names.TOKENS)["data"]
    other.close()


# The namespace --------------------------------------------------------------------------------------------------------


def test_a_namespace_that_we_made_goes_with_its_stack(client: ClusterClient, thread: ClusterThread) -> None:
    made = thread.cluster.get("namespaces", "", NAMESPACE)["metadata"]
    assert made["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert made["annotations"][names.CREATED] == STACK
    state = client.namespace_state()
    assert (state.created, state.stack, state.version) == (True, STACK, "v1.34.1")
    assert client.remove_namespace(STACK)
    assert not [key for key in thread.cluster.objects if key[1] == NAMESPACE or key[2] == NAMESPACE]
    refused("NotFound", client.namespace_state)


def test_a_namespace_that_was_there_stays_as_it_was(thread: ClusterThread, connections: Connections) -> None:
    thread.do(thread.cluster.namespace)
    before = thread.cluster.get("namespaces", "", NAMESPACE)
    client = ClusterClient(ADDRESS, connections=connections)
    assert not client.ensure_namespace(STACK, pod_security=True).created
    assert thread.cluster.get("namespaces", "", NAMESPACE) == before
    assert not client.remove_namespace(STACK)
    assert [key for key in thread.cluster.objects if key[1] == NAMESPACE] == []
    assert thread.cluster.get("namespaces", "", NAMESPACE) == before


def test_a_missing_right_is_named_before_anything_is_made(thread: ClusterThread, connections: Connections) -> None:
    thread.do(thread.cluster.namespace)
    thread.cluster.refuse = {"create deployments": (403, "Forbidden", "no"), "create secrets": (403, "Forbidden", "no")}
    client = ClusterClient(ADDRESS, connections=connections)
    text = refused("Forbidden", lambda: client.ensure_namespace(STACK, pod_security=True))
    assert "target.context: the context may not create secrets, create deployments.apps in namespace llm" in text
    assert [key for key in thread.cluster.objects if key[1] == NAMESPACE] == []


def test_a_namespace_that_may_not_be_made_is_said_so(thread: ClusterThread, connections: Connections) -> None:
    words = 'namespaces is forbidden: User "ana" cannot create resource "namespaces" in API group ""'
    thread.cluster.refuse = {
        "POST namespaces": (403, "Forbidden", words),
        "create namespaces": (403, "Forbidden", words),
    }
    client = ClusterClient(ADDRESS, connections=connections)
    text = refused("Forbidden", lambda: client.ensure_namespace(STACK, pod_security=True))
    assert text.startswith("target.namespace: there is no namespace llm and the context may not create namespaces")


def test_generations_go_on_after_a_route_was_deleted(client: ClusterClient, thread: ClusterThread) -> None:
    deployed(client, thread)
    client.put_route(table(HASH))
    client.put_route(table(HASH, stopped=True))
    thread.cluster.applies = False  # the gateway still reports the old route
    client.delete_route("chat")
    assert client.put_route(table(HASH)).table.generation == 3


def test_a_quota_is_said_in_the_api_servers_words(client: ClusterClient, thread: ClusterThread) -> None:
    thread.cluster.quota = (
        'pods "chat-1" is forbidden: exceeded quota: team, requested: cpu=4, used: cpu=2, limited: cpu=4'
    )
    deployed(client, thread)
    client.lease("chat", HASH, 30)
    client.scale("chat", HASH, Scale(replicas=1))
    failure = client.version("chat", HASH).failure
    assert failure is not None
    assert failure.phase is Phase.SCHEDULE
    assert failure.reason == "no pod can be made: exceeded quota: team, requested: cpu=4, used: cpu=2, limited: cpu=4"
