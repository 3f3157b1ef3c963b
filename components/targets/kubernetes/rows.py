"""What the plugin's resources would write, as manifests: the namespace, its record, versions and their specs, routes.

Only where manifests are rendered: on a cluster these objects are the plugin's own.
"""

from __future__ import annotations

import hashlib

from components.targets import local
from components.targets.kubernetes.knowledge import knowledge
from components.targets.kubernetes.manifest import Manifest, metadata
from infra.plan import ServicePlan, VersionPlan
from runtime.contract.cluster import (
    CREATED,
    MANAGED_BY,
    PART_ROUTE,
    PART_SPEC,
    PART_VERSION,
    RECORD,
    ROUTE_KEY,
    SPEC_KEY,
    VERSION_KEY,
    route_name,
    spec_name,
    version_name,
)
from runtime.contract.desired import Version
from runtime.contract.host import VersionRecord
from runtime.contract.pod import pod_spec

POD_SECURITY = {
    "pod-security.kubernetes.io/enforce": "restricted",
    "pod-security.kubernetes.io/warn": "restricted",
}


def namespace_manifests(space: str, stack: str) -> list[Manifest]:
    """What has to be there first."""
    return [namespace(space, stack), record(space, stack)]


def namespace(name: str, stack: str) -> Manifest:
    """The namespace, with the restricted Pod Security Standard."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {**MANAGED_BY, **POD_SECURITY}, "annotations": {CREATED: stack}},
    }


def record(space: str, stack: str) -> Manifest:
    """Whose namespace it is."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": RECORD, "namespace": space, "labels": dict(MANAGED_BY)},
        "data": {"stack": stack, "epoch": "0"},
    }


def row(space: str, service: ServicePlan, version: VersionPlan) -> Manifest:
    """A version's row, as it is when its lowest count of replicas runs."""
    declared = VersionRecord(
        service=service.name,
        name=version.name,
        hash=version.hash,
        template=version.template,
        bounds=version.bounds,
        scaling=version.scaling,
    )
    kept = Version(record=declared, live=version.bounds.min)
    name = version_name(service.name, version.hash)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(name, space, PART_VERSION, service=service.name, hash=version.hash),
        "data": {VERSION_KEY: kept.to_json()},
    }


def spec(space: str, service: ServicePlan, version: VersionPlan) -> Manifest:
    """What a version's replicas read at their start."""
    name = spec_name(service.name, version.hash)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(name, space, PART_SPEC, service=service.name, hash=version.hash),
        "data": {SPEC_KEY: pod_spec(service.name, version.hash, version.template).canonical()},
    }


def table(space: str, service: ServicePlan) -> Manifest:
    """A service's route. Its generation follows from its content: gateways only ask whether it is another one."""
    route = local.route_table(service, knowledge(service))
    generation = int(hashlib.sha256(route.canonical().encode()).hexdigest()[:12], 16)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(route_name(service.name), space, PART_ROUTE, service=service.name),
        "data": {ROUTE_KEY: route.model_copy(update={"generation": generation}).to_json()},
    }
