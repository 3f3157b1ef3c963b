"""Autoscalers of the cluster: an HPA or a ScaledObject per version, and where they read their number. Pure.

None of it is in a version's hash: bounds, target and windows change in place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from components.targets.kubernetes.manifest import SKIP_AWAIT, Manifest, metadata
from components.targets.kubernetes.manifest import selector as marks
from infra.plan import ServicePlan, VersionPlan
from runtime.contract.cluster import (
    HASH,
    INTERNAL_PORT,
    METRICS,
    METRICS_API,
    METRICS_PORT,
    PART_GATEWAY,
    PART_VERSION,
    SCALE_PATH,
    SERVICE,
    metric_name,
    version_name,
)
from runtime.contract.scaling import ScaleTarget

PART_METRICS = "metrics"
POLL_SECONDS = 5
"""How often KEDA asks: at zero a request waits so long until it is seen."""
PAUSED = "autoscaling.keda.sh/paused-replicas"


def autoscalers(services: Iterable[ServicePlan]) -> dict[str, str]:
    """Services that an autoscaler of the cluster scales: name -> hpa or keda."""
    return {plan.name: by for plan in services for by in {each.scaling.by for each in plan.versions} if by != "gateway"}


def scaler_objects(namespace: str, plan: ServicePlan, version: VersionPlan) -> list[Manifest]:
    """What moves the count of one version; nothing where it has one count alone, or is the gateway's."""
    target = version.scaling.target
    if target is None:
        return []
    match version.scaling.by:
        case "hpa":
            return [horizontal(namespace, plan.name, version, target)]
        case "keda":
            return [scaled_object(namespace, plan, version, target)]
        case _:
            return []


def horizontal(namespace: str, service: str, version: VersionPlan, target: ScaleTarget) -> Manifest:
    """An HPA on the metric of the stack file, as the gateways tell it."""
    labels = {SERVICE: service, HASH: version.hash}
    metric = {"name": metric_name(target.metric), "selector": {"matchLabels": labels}}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": _metadata(namespace, service, version),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", **_target(service, version)},
            "minReplicas": version.bounds.min,
            "maxReplicas": version.bounds.max,
            "metrics": [
                {
                    "type": "External",
                    "external": {
                        "metric": metric,
                        "target": {"type": "AverageValue", "averageValue": quantity(target.value)},
                    },
                }
            ],
            "behavior": behavior(version),
        },
    }


def scaled_object(namespace: str, plan: ServicePlan, version: VersionPlan, target: ScaleTarget) -> Manifest:
    """A ScaledObject that reads the same number as JSON. Needs KEDA's CRDs."""
    query = urlencode({"service": plan.name, "version": version.hash})
    url = f"http://{METRICS}.{namespace}.svc:{INTERNAL_PORT}{SCALE_PATH}?{query}"
    notes = {**SKIP_AWAIT, PAUSED: "0"} if plan.stopped else SKIP_AWAIT
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": _metadata(namespace, plan.name, version, annotations=notes),
        "spec": {
            "scaleTargetRef": _target(plan.name, version),
            "pollingInterval": POLL_SECONDS,
            "cooldownPeriod": round(version.scaling.idle_seconds),
            "minReplicaCount": version.bounds.min,
            "maxReplicaCount": version.bounds.max,
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": behavior(version)}},
            "triggers": [
                {
                    "type": "metrics-api",
                    "metadata": {"url": url, "valueLocation": "value", "targetValue": f"{target.value:g}"},
                }
            ],
        },
    }


def behavior(version: VersionPlan) -> dict[str, Any]:
    """The windows of the stack file."""
    return {
        "scaleUp": {"stabilizationWindowSeconds": round(version.scaling.up_seconds)},
        "scaleDown": {"stabilizationWindowSeconds": round(version.scaling.down_seconds)},
    }


def metrics_objects(namespace: str, scalers: Iterable[str]) -> list[Manifest]:
    """Where autoscalers of the cluster read: a Service, and for HPAs the cluster's external metrics API."""
    found = set(scalers)
    made = [metrics_service(namespace, found)] if found else []
    return [*made, api_service(namespace)] if "hpa" in found else made


def metrics_service(namespace: str, scalers: set[str]) -> Manifest:
    """The gateways' ports that autoscalers read."""
    ports = {"hpa": ("https", 443, METRICS_PORT), "keda": ("internal", INTERNAL_PORT, INTERNAL_PORT)}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(METRICS, namespace, PART_METRICS, annotations=SKIP_AWAIT),
        "spec": {
            "type": "ClusterIP",
            "selector": marks(PART_GATEWAY),
            "ports": [
                {"name": name, "port": port, "targetPort": to, "protocol": "TCP"}
                for scaler, (name, port, to) in ports.items()
                if scaler in scalers
            ],
        },
    }


def api_service(namespace: str) -> Manifest:
    """The external metrics API of the whole cluster is served by our gateways."""
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": metadata(f"v1beta1.{METRICS_API}", "", PART_METRICS, annotations=SKIP_AWAIT),
        "spec": {
            "group": METRICS_API,
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
            "service": {"name": METRICS, "namespace": namespace, "port": 443},
        },
    }


def quantity(number: float) -> str:
    """`2`, or `1500m` for one and a half."""
    return f"{number:.0f}" if float(number).is_integer() else f"{max(1, round(number * 1000))}m"


def _target(service: str, version: VersionPlan) -> Mapping[str, str]:
    return {"kind": "Deployment", "name": version_name(service, version.hash)}


def _metadata(
    namespace: str, service: str, version: VersionPlan, *, annotations: Mapping[str, str] = SKIP_AWAIT
) -> dict[str, Any]:
    name = version_name(service, version.hash)
    return metadata(name, namespace, PART_VERSION, service=service, hash=version.hash, annotations=annotations)
