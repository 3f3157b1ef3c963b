"""An Ingress, then an HTTPRoute in its place; the service never goes, and what is lacking is said before anything."""

from __future__ import annotations

from runtime.contract.cluster import GATEWAY, GATEWAY_PORT
from tests.cluster.harness import ClusterProject, small
from tests.cluster.harness.kinds import known
from tests.e2e.harness import SteadyLoad

INGRESS = {"replicas": 1, "expose": "ingress", "host": "llm.example", "className": "edge", "tls": {"secret": "cert"}}
ROUTE = {"replicas": 1, "expose": "gatewayApi", "host": "llm.example", "parent": {"name": "edge", "namespace": "infra"}}


def test_a_route_kind_that_the_cluster_lacks_is_named_before_anything_is_made(project: ClusterProject) -> None:
    project.changes_of_target["gateway"] = ROUTE
    project.write({"chat": small("one")})
    output = project.up(code=1)
    assert "target.gateway.expose: the cluster lacks the Gateway API" in output, output
    assert "Traceback" not in output, output
    assert not project.cluster.kubectl("get", "namespace", project.namespace, "--ignore-not-found")


def test_an_ingress_gives_way_to_a_route_and_no_request_fails(project: ClusterProject) -> None:
    project.changes_of_target["gateway"] = INGRESS
    project.write({"chat": small("one")})
    project.up()
    spec = project.get("ingress", GATEWAY)["spec"]
    [path] = spec["rules"][0]["http"]["paths"]
    assert path["backend"]["service"] == {"name": GATEWAY, "port": {"number": GATEWAY_PORT}}
    assert (spec["ingressClassName"], spec["tls"]) == ("edge", [{"hosts": ["llm.example"], "secretName": "cert"}])
    assert project.outputs()["chat"]["endpoint"] == "https://llm.example/api/predict/chat"
    project.assert_no_changes()

    with (
        known(project.cluster, "httproutes"),
        SteadyLoad(project.endpoint, "chat", project.token(), rate=5, streams=1),
    ):
        project.changes_of_target["gateway"] = ROUTE
        project.write({"chat": small("one")})
        project.up()
        [parent] = project.get("httproute", GATEWAY)["spec"]["parentRefs"]
        assert (parent["name"], parent["namespace"], parent["kind"]) == ("edge", "infra", "Gateway")
        assert project.items("ingresses") == []
        assert project.outputs()["chat"]["endpoint"] == "http://llm.example/api/predict/chat"
        project.assert_no_changes()
        project.changes_of_target["gateway"] = {"replicas": 1}
        project.write({"chat": small("one")})
        project.up()
        assert project.items("httproutes") == []
