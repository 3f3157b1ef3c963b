"""A cluster that lacks what a stack needs says so before anything is made."""

from __future__ import annotations

from typing import Any

import pytest

from infra.cluster import ClusterClient, Connections, Needs
from infra.cluster.needs import NAME
from infra.hostclient import HostProblem
from runtime.contract.cluster import METRICS
from tests.infra.cluster.conftest import ADDRESS, STACK
from tests.infra.cluster.fake_cluster import NAMESPACE, ClusterThread


def asked(connections: Connections, **autoscalers: str) -> None:
    client = ClusterClient(ADDRESS, connections=connections)
    client.ensure_namespace(STACK, pod_security=True, needs=Needs(autoscalers))


def served_by(thread: ClusterThread, service: dict[str, Any] | None) -> None:
    thread.do(lambda: thread.cluster.put("apiservices", "", {"metadata": {"name": NAME}, "spec": {"service": service}}))


def test_hpa_takes_external_metrics_that_nobody_serves_or_that_are_ours(
    connections: Connections, thread: ClusterThread
) -> None:
    asked(connections, chat="hpa")
    served_by(thread, {"namespace": NAMESPACE, "name": METRICS})
    asked(connections, chat="hpa")


@pytest.mark.parametrize(
    ("service", "named"),
    [
        ({"namespace": "keda", "name": "keda-metrics"}, "keda/keda-metrics"),
        ({"namespace": "other", "name": METRICS}, f"other/{METRICS}"),
        (None, "the API server itself"),
    ],
)
def test_hpa_is_refused_where_another_serves_them(
    connections: Connections, thread: ClusterThread, service: dict[str, Any] | None, named: str
) -> None:
    served_by(thread, service)
    with pytest.raises(HostProblem, match=f"services.chat.autoscaler: .* is served by {named}") as refused:
        asked(connections, chat="hpa")
    assert "`autoscaler: gateway` needs none" in str(refused.value)
    assert ("namespaces", "", NAMESPACE) not in thread.cluster.objects
    asked(connections)


def test_hpa_needs_the_right_to_register_them(connections: Connections, thread: ClusterThread) -> None:
    thread.cluster.refuse["create apiservices"] = (403, "Forbidden", "no")
    with pytest.raises(HostProblem, match=r"services.chat.autoscaler: the context may not create apiservices"):
        asked(connections, chat="hpa")


def test_keda_is_refused_where_it_is_not(connections: Connections, thread: ClusterThread) -> None:
    with pytest.raises(HostProblem, match=r"services.chat.autoscaler: KEDA is not installed in this cluster"):
        asked(connections, chat="keda")


def test_an_http_route_is_refused_where_nobody_knows_it(connections: Connections, thread: ClusterThread) -> None:
    client = ClusterClient(ADDRESS, connections=connections)
    with pytest.raises(HostProblem, match=r"target.gateway.expose: the cluster lacks the Gateway API"):
        client.ensure_namespace(STACK, pod_security=True, needs=Needs(expose="gatewayApi"))
    assert ("namespaces", "", NAMESPACE) not in thread.cluster.objects
    client.ensure_namespace(STACK, pod_security=True, needs=Needs(expose="ingress"))
