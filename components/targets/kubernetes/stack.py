"""What all services of a cluster share: the namespace and the gateway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pulumi

from components.targets.kubernetes.cache import cache_objects
from components.targets.kubernetes.declare import Cluster, KubernetesObject, declare, declare_all, provider
from components.targets.kubernetes.exposure import address, balanced, exposure, in_cluster
from components.targets.kubernetes.gateway import gateway_objects
from components.targets.kubernetes.network import network_policies
from components.targets.kubernetes.rows import namespace_manifests
from components.targets.kubernetes.scaling import metrics_objects
from infra.plan import ServicePlan
from infra.resources import Namespace
from infra.stackfile import KubernetesTarget
from runtime.contract.cluster import GATEWAY, ClusterAddress


@dataclass(frozen=True)
class Door:
    """The gateway of a cluster: where services of it go, and where requests arrive."""

    cluster: Cluster
    endpoint: pulumi.Input[str]


def address_of(target: KubernetesTarget) -> ClusterAddress:
    """Where a stack lives."""
    return ClusterAddress(namespace=target.namespace, context=target.context or "", kubeconfig=target.kubeconfig or "")


def caches(
    target: KubernetesTarget, services: Sequence[ServicePlan], cluster: Cluster, *, parent: pulumi.Resource
) -> dict[str, list[pulumi.Resource]]:
    """Declare the volumes of models and what fills them; by service, what its pods wait for."""
    if target.model_cache is None:
        return {}
    made = {
        name: declare_all(objects, cluster, parent, cluster.first())
        for name, objects in cache_objects(target.namespace, target.model_cache, services)
    }
    used = {
        service.name: dict.fromkeys(version.template.model_cache for version in service.versions)
        for service in services
    }
    return {name: [each for claim in claims if claim for each in made[claim]] for name, claims in used.items()}


def door(
    name: str,
    target: KubernetesTarget,
    image: str,
    *,
    autoscalers: Mapping[str, str] | None = None,
    parent: pulumi.Resource,
) -> Door:
    """Declare the namespace and everything of the gateway in it. `autoscalers`: by service, hpa or keda."""
    where = address_of(target)
    stack = f"{pulumi.get_project()}.{pulumi.get_stack()}"
    written = target.render is not None
    cluster = Cluster(where, provider(name, where, render=target.render, parent=parent), rendered=written)
    if written:
        namespace: pulumi.Resource = declare_all(namespace_manifests(where.namespace, stack), cluster, parent, ())[0]
    else:
        inputs: dict[str, Any] = {"state": str(where), "stack": stack}
        if autoscalers:
            inputs["autoscalers"] = dict(autoscalers)
        if target.gateway.expose == "gatewayApi":
            inputs["expose"] = target.gateway.expose
        namespace = Namespace(where.namespace, inputs, pulumi.ResourceOptions(parent=parent))
    cluster = replace(cluster, namespace=namespace)
    scalers = set((autoscalers or {}).values())
    manifests = [
        *gateway_objects(where.namespace, target.gateway, image, scalers=scalers),
        *network_policies(where.namespace, scalers=scalers),
    ]
    made: dict[tuple[str, str], KubernetesObject] = {}
    for manifest in manifests:
        after = [*made.values()] if manifest["kind"] == "Deployment" else cluster.first()
        made[manifest["kind"], manifest["metadata"]["name"]] = declare(manifest, cluster, parent, after)
    # The API server asks what answers: after the gateways, and gone before them.
    readers = declare_all(metrics_objects(where.namespace, scalers), cluster, parent, [*made.values()])
    declare_all(exposure(where.namespace, target.gateway), cluster, parent, cluster.first())
    endpoint: pulumi.Input[str] | None = address(where.namespace, target.gateway)
    if endpoint is None and written:
        endpoint = in_cluster(where.namespace)
    if endpoint is None:
        status = made["Service", GATEWAY].status
        endpoint = status.apply(lambda known: balanced(known) or in_cluster(where.namespace))
    return Door(replace(cluster, gateway=made["Deployment", GATEWAY], scalers=tuple(readers)), endpoint)
