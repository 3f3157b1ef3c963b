"""A whole plan as manifests, for those who apply them by other means than `pulumi up`. Pure but for reading documents.

What the plugin would write is here as objects too: the namespace, its record, a row and a spec per version, a table per
service. Tokens are not: they are made by whoever applies the manifests (docs/kubernetes.md, `Manifests`), and no file
of this folder holds a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import yaml

from components.targets.kubernetes.cache import cache_objects
from components.targets.kubernetes.exposure import exposure
from components.targets.kubernetes.gateway import gateway_objects, service_alias
from components.targets.kubernetes.knowledge import documents_config_map
from components.targets.kubernetes.manifest import Manifest
from components.targets.kubernetes.network import network_policies
from components.targets.kubernetes.quota import quota_objects
from components.targets.kubernetes.rows import namespace_manifests, row, spec, table
from components.targets.kubernetes.scaling import autoscalers, metrics_objects, scaler_objects
from components.targets.kubernetes.version import version_objects
from infra.plan import Plan, ServicePlan
from infra.stackfile import KubernetesTarget, Stack


def manifests(stack: Stack, plan: Plan, name: str) -> list[Manifest]:
    """Everything, in the order in which it can be applied. `name`: `project.stack` of the Pulumi stack."""
    target = stack.target
    assert isinstance(target, KubernetesTarget)
    space = target.namespace
    made = namespace_manifests(space, name)
    if plan.services and plan.image:
        scalers = set(autoscalers(plan.services).values())
        made += gateway_objects(space, target.gateway, plan.image, scalers=scalers)
        made += [*network_policies(space, scalers=scalers), *metrics_objects(space, scalers)]
        made += exposure(space, target.gateway)
    for quota, declared in sorted(stack.quotas.items()):
        made += quota_objects(space, quota, declared)
    if target.model_cache is not None:
        made += [each for _, objects in cache_objects(space, target.model_cache, plan.services) for each in objects]
    for service in plan.services:
        made += service_manifests(space, service)
    return [_without_pulumi(manifest) for manifest in made]


def service_manifests(space: str, service: ServicePlan) -> Iterator[Manifest]:
    """One service's."""
    yield service_alias(space, service.name)
    if service.knowledge is not None:
        yield documents_config_map(space, service.name, Path(service.knowledge))
    for version in service.versions:
        yield row(space, service, version)
        yield spec(space, service, version)
        yield from version_objects(space, service.name, version)
        yield from scaler_objects(space, service, version)
    yield table(space, service)


def file_name(number: int, manifest: Manifest) -> str:
    """`012-deployment-chat-3f2a9c01d4.yaml`: in the order in which they can be applied."""
    name = re.sub(r"[^a-z0-9.-]+", "-", str(manifest["metadata"]["name"]).lower())
    return f"{number:03}-{str(manifest['kind']).lower()}-{name}.yaml"


def text(made: Iterable[Manifest]) -> str:
    """Manifests as YAML, each a document of its own."""
    return yaml.dump_all(made, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=120)


class _Plain(yaml.SafeDumper):
    """Says what is said twice twice: a manifest with anchors is hard to read, and some tools refuse it."""

    def ignore_aliases(self, data: object) -> bool:
        """Always."""
        return True


def write(folder: Path, made: Sequence[Manifest]) -> list[Path]:
    """One file each; files of an earlier time that are no longer wanted are removed. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [file_name(number, manifest) for number, manifest in enumerate(made)]
    for old in folder.glob("[0-9][0-9][0-9]-*.yaml"):
        if old.name not in names:
            old.unlink()
    for name, manifest in zip(names, made, strict=True):
        (folder / name).write_text(text([manifest]), encoding="utf-8")
    return [folder / name for name in names]


def _without_pulumi(manifest: Manifest) -> Manifest:
    """Without what only Pulumi's provider reads."""
    data = dict(manifest["metadata"])
    notes = {key: value for key, value in data.pop("annotations", {}).items() if not key.startswith("pulumi.com/")}
    return {**manifest, "metadata": {**data, "annotations": notes} if notes else data}
