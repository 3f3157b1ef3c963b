"""One version: its pods, its endpoints, and how many of them may be away at once. Pure.

Everything here follows from the template, so that it never changes under one hash (DESIGN, `How Pulumi is used`).
"""

from __future__ import annotations

from typing import Any

from components.targets.kubernetes.manifest import (
    SKIP_AWAIT,
    Manifest,
    amount,
    labels,
    mebibytes,
    metadata,
    selector,
)
from components.targets.kubernetes.pods import (
    container_security,
    declared_environment,
    from_pod,
    pod_security,
    process_environment,
    spread,
    writable,
)
from components.targets.kubernetes.probes import probes
from components.targets.kubernetes.volumes import volumes
from infra.plan import VersionPlan
from runtime.contract.cluster import (
    ETC,
    PART_VERSION,
    REPLICA,
    REPLICA_PORT,
    SPEC_KEY,
    priority_class_name,
    version_name,
)
from runtime.contract.version import VersionTemplate

INSTANCE_TYPE = "node.kubernetes.io/instance-type"
GPU = "nvidia.com/gpu"
LEAVE_SECONDS = 3
"""Between the end of a pod and SIGTERM: by then gateways have seen that it is leaving."""
KILL_SECONDS = 10
"""What is left to a replica after its drain seconds."""


def version_objects(namespace: str, service: str, version: VersionPlan) -> list[Manifest]:
    """In the order in which they are made."""
    return [
        headless_service(namespace, service, version),
        deployment(namespace, service, version),
        disruption_budget(namespace, service, version),
    ]


def headless_service(namespace: str, service: str, version: VersionPlan) -> Manifest:
    """The pods of a version as EndpointSlices. Pods that are not ready are in them too, marked so."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(namespace, service, version, annotations=SKIP_AWAIT),
        "spec": {
            "clusterIP": "None",
            "selector": selector(PART_VERSION, service=service, hash=version.hash),
            "ports": [{"name": "http", "port": REPLICA_PORT, "targetPort": REPLICA_PORT, "protocol": "TCP"}],
        },
    }


def disruption_budget(namespace: str, service: str, version: VersionPlan) -> Manifest:
    """A drain of nodes takes one replica after the other."""
    match = selector(PART_VERSION, service=service, hash=version.hash)
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _metadata(namespace, service, version),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": match}},
    }


def deployment(namespace: str, service: str, version: VersionPlan) -> Manifest:
    """The pods. No `replicas`: how many there are is never declared (DESIGN, rule 5)."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(namespace, service, version, annotations=SKIP_AWAIT),
        "spec": {
            "revisionHistoryLimit": 0,
            "selector": {"matchLabels": selector(PART_VERSION, service=service, hash=version.hash)},
            "template": pod_template(namespace, service, version),
        },
    }


def pod_template(namespace: str, service: str, version: VersionPlan) -> dict[str, Any]:
    """What a replica's pod is."""
    template = version.template
    mounted = volumes(service, version)
    free, places = writable()
    spec: dict[str, Any] = {
        "serviceAccountName": REPLICA,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        "terminationGracePeriodSeconds": template.drain_seconds + LEAVE_SECONDS + KILL_SECONDS,
        "topologySpreadConstraints": spread(selector(PART_VERSION, service=service, hash=version.hash)),
        "containers": [
            {
                "name": "replica",
                "image": template.image,
                "imagePullPolicy": "IfNotPresent",
                "command": ["python", "-m", "runtime.replica"],
                "args": ["--spec", f"{ETC}/spec/{SPEC_KEY}", "--replica", "$(POD_NAME)", "--nonce", "-"],
                "env": [*declared_environment(template), *process_environment(), *from_pod(POD_NAME="metadata.name")],
                "ports": [{"name": "http", "containerPort": REPLICA_PORT, "protocol": "TCP"}],
                "resources": resources(template),
                "securityContext": container_security(),
                **probes(template.probes),
                "lifecycle": {"preStop": {"sleep": {"seconds": LEAVE_SECONDS}}},
                "volumeMounts": [*places, *mounted.mounts],
                "terminationMessagePolicy": "FallbackToLogsOnError",
            }
        ],
        "volumes": [*free, *mounted.volumes],
    }
    if template.instance_types:
        types = {"key": INSTANCE_TYPE, "operator": "In", "values": list(template.instance_types)}
        spec["affinity"] = {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [types]}]}
            }
        }
    if template.gpus:
        spec["tolerations"] = [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}]
    if template.quota:
        spec["priorityClassName"] = priority_class_name(namespace, template.quota)
    return {"metadata": {"labels": labels(PART_VERSION, service=service, hash=version.hash)}, "spec": spec}


def resources(template: VersionTemplate) -> dict[str, Any]:
    """Memory and GPUs are asked for and kept to; cores are asked for, and may be more where a node has some."""
    asked: dict[str, str] = {}
    limits: dict[str, str] = {}
    if template.cpus:
        asked["cpu"] = amount(template.cpus)
    if template.memory_gib:
        asked["memory"] = limits["memory"] = mebibytes(template.memory_gib)
    if template.gpus:
        asked[GPU] = limits[GPU] = str(template.gpus)
    return {"requests": asked, "limits": limits}


def _metadata(
    namespace: str,
    service: str,
    version: VersionPlan,
    *,
    annotations: dict[str, str] | None = None,
) -> dict[str, Any]:
    name = version_name(service, version.hash)
    return metadata(name, namespace, PART_VERSION, service=service, hash=version.hash, annotations=annotations)
