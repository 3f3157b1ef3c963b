"""How a gateway is reached from outside the cluster: a load balancer, an Ingress or an HTTPRoute. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components.targets.kubernetes.manifest import Manifest, metadata
from infra.stackfile.targets import ClusterGateway
from runtime.contract.cluster import GATEWAY, GATEWAY_PORT, PART_GATEWAY

GATEWAY_API = "gateway.networking.k8s.io/v1"


def exposure(namespace: str, declared: ClusterGateway) -> list[Manifest]:
    """The objects that `target.gateway.expose` adds to the gateway's Service."""
    match declared.expose:
        case "ingress":
            return [ingress(namespace, declared)]
        case "gatewayApi":
            return [http_route(namespace, declared)]
        case _:
            return []


def address(namespace: str, declared: ClusterGateway) -> str | None:
    """The gateway's URL; None: a load balancer's, which the cluster gives."""
    match declared.expose:
        case "clusterIP":
            return in_cluster(namespace)
        case "ingress":
            return f"{'https' if declared.tls else 'http'}://{declared.host}"
        case "gatewayApi":
            return f"http://{declared.host}"  # whether its Gateway ends TLS is that Gateway's to say
        case _:
            return None


def in_cluster(namespace: str) -> str:
    """The gateway's URL for pods of the cluster."""
    return f"http://{GATEWAY}.{namespace}:{GATEWAY_PORT}"


def balanced(status: Mapping[str, Any] | None) -> str:
    """The URL of a load balancer from its Service's status; empty while it has none."""
    for point in ((status or {}).get("loadBalancer") or {}).get("ingress") or ():
        if host := point.get("hostname") or point.get("ip"):
            return f"http://{f'[{host}]' if ':' in host else host}:{GATEWAY_PORT}"
    return ""


def ingress(namespace: str, declared: ClusterGateway) -> Manifest:
    """An Ingress of the whole host: a gateway answers every path of its services."""
    backend = {"service": {"name": GATEWAY, "port": {"number": GATEWAY_PORT}}}
    spec: dict[str, Any] = {
        "rules": [{"host": declared.host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]
    }
    if declared.class_name:
        spec["ingressClassName"] = declared.class_name
    if declared.tls:
        spec["tls"] = [{"hosts": [declared.host], "secretName": declared.tls.secret}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        # Its address may take long and is not ours to wait for: the host is.
        "metadata": metadata(GATEWAY, namespace, PART_GATEWAY, annotations={"pulumi.com/skipAwait": "true"}),
        "spec": spec,
    }


def http_route(namespace: str, declared: ClusterGateway) -> Manifest:
    """An HTTPRoute that attaches the host to a Gateway of the cluster. Needs the Gateway API's CRDs."""
    assert declared.parent is not None
    parent: dict[str, Any] = {"name": declared.parent.name}
    if declared.parent.namespace:
        parent["namespace"] = declared.parent.namespace
    if declared.parent.section:
        parent["sectionName"] = declared.parent.section
    return {
        "apiVersion": GATEWAY_API,
        "kind": "HTTPRoute",
        "metadata": metadata(GATEWAY, namespace, PART_GATEWAY, annotations={"pulumi.com/skipAwait": "true"}),
        "spec": {
            "parentRefs": [parent],
            "hostnames": [declared.host],
            "rules": [
                {
                    "backendRefs": [{"name": GATEWAY, "port": GATEWAY_PORT}],
                    "timeouts": {"request": "0s"},  # a stream lasts as long as the gateway's own limits let it
                }
            ],
        },
    }
