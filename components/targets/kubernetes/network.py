"""Who may reach whom: replicas are the gateways' alone. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from components.targets.kubernetes.manifest import Manifest, metadata, selector
from runtime.contract.cluster import (
    GATEWAY,
    GATEWAY_PORT,
    INTERNAL_PORT,
    METRICS_PORT,
    PART_GATEWAY,
    PART_VERSION,
    REPLICA,
    REPLICA_PORT,
)

KEDA = {"app": "keda-operator"}
"""The pods of KEDA's operator, as its chart and its manifests label them."""


def network_policies(namespace: str, *, scalers: Collection[str] = ()) -> list[Manifest]:
    """Of replicas and of gateways. Nothing here limits what they may reach: replicas fetch models.

    `scalers`: hpa, keda, where a service names them. The API server asks for an HPA, and is no pod; KEDA's operator
    asks from the namespace that it was installed in.
    """
    gateways = {"podSelector": {"matchLabels": selector(PART_GATEWAY)}}
    readers = [{"namespaceSelector": {}, "podSelector": {"matchLabels": KEDA}}] if "keda" in scalers else []
    return [
        _policy(namespace, REPLICA, PART_VERSION, [{"from": [gateways], "ports": [_tcp(REPLICA_PORT)]}]),
        _policy(
            namespace,
            GATEWAY,
            PART_GATEWAY,
            [
                {"ports": [_tcp(GATEWAY_PORT)]},
                {"from": [gateways, *readers], "ports": [_tcp(INTERNAL_PORT)]},
                *([{"ports": [_tcp(METRICS_PORT)]}] if "hpa" in scalers else []),
            ],
        ),
    ]


def _policy(namespace: str, name: str, part: str, ingress: list[dict[str, Any]]) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(name, namespace, part),
        "spec": {
            "podSelector": {"matchLabels": selector(part)},
            "policyTypes": ["Ingress"],
            "ingress": ingress,
        },
    }


def _tcp(port: int) -> dict[str, Any]:
    return {"protocol": "TCP", "port": port}
