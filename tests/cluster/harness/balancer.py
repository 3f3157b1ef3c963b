"""What a cloud does for services of type LoadBalancer: gives each an address. kube-proxy does the rest."""

from __future__ import annotations

import json
import threading
from ipaddress import ip_network
from typing import Any

from tests.cluster.harness.cluster import Cluster

SECONDS = 0.5


class Balancer:
    """Looks for services that wait for an address until it is stopped. A context manager."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster, self._over = cluster, threading.Event()
        self._free = [str(address) for address in ip_network(cluster.layout.balancers).hosts()]
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Balancer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._over.wait(SECONDS):
            services = self._cluster.items("services", "--all-namespaces")
            taken = {address for service in services for address in addresses(service)}
            for service in services:
                if service["spec"]["type"] == "LoadBalancer" and not addresses(service):
                    address = next(address for address in self._free if address not in taken)
                    taken.add(address)
                    self._give(service["metadata"], address)

    def _give(self, metadata: dict[str, Any], address: str) -> None:
        change = {"status": {"loadBalancer": {"ingress": [{"ip": address}]}}}
        named = ("--namespace", metadata["namespace"], "service", metadata["name"])
        self._cluster.kubectl("patch", *named, "--subresource=status", "--type=merge", "-p", json.dumps(change))


def addresses(service: dict[str, Any]) -> list[str]:
    """What a service has been given."""
    return [given["ip"] for given in service.get("status", {}).get("loadBalancer", {}).get("ingress", [])]
