"""The gateway's pods, what they may do, and their address. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from components.targets.kubernetes.manifest import SKIP_AWAIT, Manifest, labels, metadata, selector
from components.targets.kubernetes.pods import (
    container_security,
    from_pod,
    pod_security,
    process_environment,
    spread,
    writable,
)
from infra.stackfile.targets import ClusterGateway
from runtime.contract.cluster import (
    GATEWAY,
    GATEWAY_PORT,
    INTERNAL_PORT,
    METRICS_PORT,
    PART_GATEWAY,
    REPLICA,
    TOKENS,
    object_name,
)
from runtime.contract.names import HEALTH_PATH

DRAIN_SECONDS = 600
"""A stream may take as long as a request may: a gateway that leaves finishes what runs."""
KILL_SECONDS = 20
"""What is left to it after that, and before: it waits itself until no new connection is sent to it."""
CPU, MEMORY = "100m", "256Mi"
"""What a gateway asks for; it may take more cores where there are any."""
MEMORY_LIMIT = "1Gi"
READ = ["get", "list", "watch"]


def gateway_objects(
    namespace: str, declared: ClusterGateway, image: str, *, scalers: Collection[str] = ()
) -> list[Manifest]:
    """In the order in which they are made. `scalers`: hpa, keda, where a service names them."""
    return [
        account(namespace, GATEWAY, token=True),
        account(namespace, REPLICA, token=False),
        role(namespace),
        role_binding(namespace),
        service(namespace, GATEWAY, declared),
        disruption_budget(namespace),
        deployment(namespace, declared, image, scalers=scalers),
    ]


def account(namespace: str, name: str, *, token: bool) -> Manifest:
    """Who pods are. A replica asks the API server nothing, so it gets no token."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": _metadata(namespace, name),
        "automountServiceAccountToken": token,
    }


def role(namespace: str) -> Manifest:
    """What a gateway may do, in this namespace alone.

    It reads rows, tokens, endpoints and Deployments, keeps the live counts (rows and scale), and says what it has
    applied and who leads (leases).
    """
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": _metadata(namespace, GATEWAY),
        "rules": [
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": [*READ, "update"]},
            {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [TOKENS], "verbs": READ},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": READ},
            {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": READ},
            {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["patch"]},
            {
                "apiGroups": ["coordination.k8s.io"],
                "resources": ["leases"],
                "verbs": ["get", "create", "update", "patch"],
            },
        ],
    }


def role_binding(namespace: str) -> Manifest:
    """The gateway's account may do what its role says."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": _metadata(namespace, GATEWAY),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": GATEWAY},
        "subjects": [{"kind": "ServiceAccount", "name": GATEWAY, "namespace": namespace}],
    }


def service(namespace: str, name: str, declared: ClusterGateway) -> Manifest:
    """The gateway's address inside the cluster; a load balancer's too where that is how it is exposed."""
    balanced = declared.expose == "loadBalancer"
    return {
        "apiVersion": "v1",
        "kind": "Service",
        # A load balancer is waited for: its address is the endpoint.
        "metadata": _metadata(namespace, name, annotations=None if balanced else SKIP_AWAIT),
        "spec": {
            "type": "LoadBalancer" if balanced else "ClusterIP",
            "selector": selector(PART_GATEWAY),
            "ports": [_port("http", GATEWAY_PORT)],
        },
    }


def service_alias(namespace: str, name: str) -> Manifest:
    """A service by its own name, as EAS's in-cluster address has it: http://chat.NAMESPACE:8080."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(object_name(name), namespace, "service", service=name, annotations=SKIP_AWAIT),
        "spec": {"type": "ClusterIP", "selector": selector(PART_GATEWAY), "ports": [_port("http", GATEWAY_PORT)]},
    }


def disruption_budget(namespace: str) -> Manifest:
    """A drain of nodes takes one gateway after the other."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _metadata(namespace, GATEWAY),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": selector(PART_GATEWAY)}},
    }


def deployment(namespace: str, declared: ClusterGateway, image: str, *, scalers: Collection[str] = ()) -> Manifest:
    """The gateway's pods: a new one is ready before an old one leaves."""
    volumes, mounts = writable()
    ready = {"httpGet": {"path": HEALTH_PATH, "port": GATEWAY_PORT}}
    lives = {"tcpSocket": {"port": GATEWAY_PORT}}
    pod: dict[str, Any] = {
        "serviceAccountName": GATEWAY,
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        "terminationGracePeriodSeconds": DRAIN_SECONDS + KILL_SECONDS,
        "topologySpreadConstraints": spread(selector(PART_GATEWAY)),
        "containers": [
            {
                "name": "gateway",
                "image": image,
                "imagePullPolicy": "IfNotPresent",
                "command": ["python", "-m", "runtime.gateway"],
                "args": [
                    *("--cluster", namespace),
                    *("--listen", f"[::]:{GATEWAY_PORT}"),
                    *("--internal", f"[::]:{INTERNAL_PORT}"),
                    *("--drain-seconds", str(DRAIN_SECONDS)),
                    *(("--external-metrics", f"[::]:{METRICS_PORT}") if "hpa" in scalers else ()),
                ],
                "env": [
                    *process_environment(),
                    *from_pod(POD_NAME="metadata.name", POD_IP="status.podIP", POD_UID="metadata.uid"),
                ],
                "ports": [
                    {"name": "http", "containerPort": GATEWAY_PORT, "protocol": "TCP"},
                    {"name": "internal", "containerPort": INTERNAL_PORT, "protocol": "TCP"},
                    *(
                        [{"name": "metrics", "containerPort": METRICS_PORT, "protocol": "TCP"}]
                        if "hpa" in scalers
                        else ()
                    ),
                ],
                "resources": {"requests": {"cpu": CPU, "memory": MEMORY}, "limits": {"memory": MEMORY_LIMIT}},
                "securityContext": container_security(),
                "startupProbe": {**lives, "periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": 60},
                "livenessProbe": {**lives, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
                "readinessProbe": {**ready, "periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": 2},
                "volumeMounts": mounts,
                "terminationMessagePolicy": "FallbackToLogsOnError",
            }
        ],
        "volumes": volumes,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(namespace, GATEWAY, annotations=SKIP_AWAIT),
        "spec": {
            "replicas": declared.replicas,
            "revisionHistoryLimit": 2,
            "selector": {"matchLabels": selector(PART_GATEWAY)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {"metadata": {"labels": labels(PART_GATEWAY)}, "spec": pod},
        },
    }


def _port(name: str, port: int) -> dict[str, Any]:
    return {"name": name, "port": port, "targetPort": port, "protocol": "TCP"}


def _metadata(namespace: str, name: str, *, annotations: dict[str, str] | None = None) -> dict[str, Any]:
    return metadata(name, namespace, PART_GATEWAY, annotations=annotations)
