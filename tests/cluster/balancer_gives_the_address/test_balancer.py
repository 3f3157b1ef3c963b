"""A gateway behind a load balancer: its address is the endpoint output, and answers."""

from __future__ import annotations

from runtime.contract.cluster import GATEWAY, GATEWAY_PORT
from tests.cluster.harness import Balancer, ClusterProject, addresses, small
from tests.e2e.harness import ask


def test_the_endpoint_is_the_balancers_address(project: ClusterProject, balancer: Balancer) -> None:
    project.changes_of_target["gateway"] = {"expose": "loadBalancer"}
    project.write({"chat": small("hello over a balancer")})
    project.up()
    service = project.get("service", GATEWAY)
    assert service["spec"]["type"] == "LoadBalancer"
    [address] = addresses(service)
    base = f"http://{address}:{GATEWAY_PORT}"
    assert project.outputs()["chat"]["endpoint"] == f"{base}/api/predict/chat"
    assert ask(base, "chat", project.token()).text == "hello over a balancer"
    project.assert_no_changes()
