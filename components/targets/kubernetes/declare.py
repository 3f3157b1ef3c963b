"""Manifests as typed resources of pulumi_kubernetes. The only module that imports it, class by class and late."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pulumi

from components.targets.kubernetes.manifest import Manifest
from runtime.contract.cluster import ClusterAddress

MODULES = {
    "v1": "core.v1",
    "apps/v1": "apps.v1",
    "autoscaling/v2": "autoscaling.v2",
    "batch/v1": "batch.v1",
    "networking.k8s.io/v1": "networking.v1",
    "policy/v1": "policy.v1",
    "rbac.authorization.k8s.io/v1": "rbac.v1",
    "scheduling.k8s.io/v1": "scheduling.v1",
    "apiregistration.k8s.io/v1": "apiregistration.v1",
}
"""Where pulumi_kubernetes keeps the kinds of an API version. All others are custom resources."""


@dataclass(frozen=True)
class Cluster:
    """Where a component's objects go."""

    address: ClusterAddress
    provider: pulumi.ProviderResource
    namespace: pulumi.Resource | None = None
    """The plugin's; None where somebody else declares it."""
    gateway: pulumi.Resource | None = None
    """Its Deployment: a Rollout asks through it."""
    scalers: tuple[pulumi.Resource, ...] = ()
    """Where autoscalers of the cluster read: what an HPA or a ScaledObject waits for."""
    rendered: bool = False
    """Manifests are written to a folder, and there is no cluster: none of the plugin's resources exists."""

    @property
    def state(self) -> str:
        """The `state` of the plugin's resources."""
        return str(self.address)

    def first(self) -> list[pulumi.Resource]:
        """What an object that depends on nothing else waits for."""
        return [self.namespace] if self.namespace is not None else []


def provider(
    name: str, address: ClusterAddress, *, render: str | None = None, parent: pulumi.Resource
) -> pulumi.ProviderResource:
    """The Kubernetes provider of a context.

    The cluster's identity is its context and namespace: a kubeconfig that moves or is written anew replaces nothing.
    With `render` it writes manifests into that folder, and takes nothing that would name a cluster.
    """
    from pulumi_kubernetes import Provider

    made: pulumi.ProviderResource = Provider(
        name,
        context=(address.context or None) if render is None else None,
        kubeconfig=(address.kubeconfig or None) if render is None else None,
        cluster_identifier="/".join(address.identity) if render is None else None,
        enable_config_map_mutable=True,
        render_yaml_to_directory=render,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return made


def declare(
    manifest: Manifest, cluster: Cluster, parent: pulumi.Resource, after: Iterable[pulumi.Resource]
) -> pulumi.Resource:
    """One manifest as a resource, called as its object is: names are unique by kind.

    Names are fixed, so whatever cannot be changed in place is deleted before it is made anew.
    """
    version, kind = manifest["apiVersion"], manifest["kind"]
    name = manifest["metadata"]["name"]
    rest = {key: value for key, value in manifest.items() if key not in ("apiVersion", "kind")}
    options = pulumi.ResourceOptions(
        parent=parent, provider=cluster.provider, depends_on=list(after), delete_before_replace=True
    )
    if version in MODULES:
        resource = getattr(importlib.import_module(f"pulumi_kubernetes.{MODULES[version]}"), kind)
        made: pulumi.Resource = resource(name, opts=options, **{snake(key): value for key, value in rest.items()})
        return made
    from pulumi_kubernetes.apiextensions import CustomResource

    custom: pulumi.Resource = CustomResource(name, api_version=version, kind=kind, opts=options, **rest)
    return custom


def declare_all(
    manifests: Sequence[Manifest], cluster: Cluster, parent: pulumi.Resource, after: Iterable[pulumi.Resource]
) -> list[pulumi.Resource]:
    """Each by itself: none waits for another."""
    first = list(after)
    return [declare(manifest, cluster, parent, first) for manifest in manifests]


def snake(key: str) -> str:
    """`clusterIP` stays inside objects; a resource's own arguments are `role_ref`, `binary_data`."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: f"_{found[1].lower()}", key)
