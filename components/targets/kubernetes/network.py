"""Who may reach whom: replicas are the gateways' alone. Pure."""

from __future__ import annotations

from typing import Any

from components.targets.kubernetes.manifest import Manifest, metadata, selector
from runtime.contract.cluster import (
    GATEWAY,
    GATEWAY_PORT,
    INTERNAL_PORT,
    PART_GATEWAY,
    PART_VERSION,
    REPLICA,
    REPLICA_PORT,
)


def network_policies(namespace: str, *, scalers: tuple[str, ...] = ()) -> list[Manifest]:
    """Of replicas and of gateways. Nothing here limits what they may reach: replicas fetch models.

    `scalers`: namespaces whose pods may read the gateway's metrics (KEDA's operator).
    """
    gateways = {"podSelector": {"matchLabels": selector(PART_GATEWAY)}}
    readers = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}} for name in scalers]
    return [
        _policy(namespace, REPLICA, PART_VERSION, [{"from": [gateways], "ports": [_tcp(REPLICA_PORT)]}]),
        _policy(
            namespace,
            GATEWAY,
            PART_GATEWAY,
            [
                {"ports": [_tcp(GATEWAY_PORT)]},
                {"from": [gateways, *readers], "ports": [_tcp(INTERNAL_PORT)]},
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
