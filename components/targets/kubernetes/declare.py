"""Manifests as resources of Pulumi's Kubernetes provider. The only module that imports pulumi_kubernetes, and late."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components.targets.kubernetes.manifest import Manifest
from runtime.contract.cluster import ClusterAddress


class KubernetesObject(pulumi.CustomResource):
    """An object of any kind, called as it is.

    Not pulumi_kubernetes' class of the kind: those take a second to import, translate every answer into classes that
    nobody reads, and bring the aliases of API versions that ended before this project began. What the engine and the
    provider see is the same.
    """

    status: pulumi.Output[Any]

    def __init__(self, manifest: Manifest, opts: pulumi.ResourceOptions) -> None:
        version, kind = manifest["apiVersion"], manifest["kind"]
        group = "core/v1" if version == "v1" else version
        props = {**manifest, "status": None}
        super().__init__(f"kubernetes:{group}:{kind}", manifest["metadata"]["name"], props, opts)


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
) -> KubernetesObject:
    """One manifest as a resource, called as its object is: names are unique by kind.

    Names are fixed, so whatever cannot be changed in place is deleted before it is made anew.
    """
    options = pulumi.ResourceOptions(
        parent=parent, provider=cluster.provider, depends_on=list(after), delete_before_replace=True
    )
    return KubernetesObject(manifest, options)


def declare_all(
    manifests: Sequence[Manifest], cluster: Cluster, parent: pulumi.Resource, after: Iterable[pulumi.Resource]
) -> list[pulumi.Resource]:
    """Each by itself: none waits for another."""
    first = list(after)
    return [declare(manifest, cluster, parent, first) for manifest in manifests]
