"""What a cluster cannot honour of a stack file, by path. Pure: sizes of folders are given."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from infra.plan.document import Finding, Level, VersionPlan
from infra.plan.units import gib
from infra.plan.version import Candidate
from infra.stackfile import LocalTarget, Stack, mount_source
from runtime.contract.cluster import GATEWAY, object_name
from runtime.contract.version import ModelReference

MOST_KNOWLEDGE = 900 * 1024
"""Bytes of a packed knowledge base: a ConfigMap holds a MiB."""
ENFORCED = ("gpus", "cpus", "memoryGiB")
"""What of a quota Kubernetes can hold a namespace to."""


def cluster_findings(stack: Stack, candidates: Sequence[Candidate], documents: Mapping[str, int]) -> Iterator[Finding]:
    """Everything that no pod of this stack could have.

    1. A folder of this machine is not on the cluster: models, adapters, mounts.
    2. A service whose Kubernetes name is the gateway's own.
    3. A knowledge base that no ConfigMap holds. `documents`: packed bytes by service.
    4. Checks that a container's probes cannot be.
    5. What of a quota or group is planned only.
    """
    for candidate in candidates:
        yield from _folders(candidate)
        yield from _probes(candidate)
    for name in sorted(stack.services):
        yield from _name(name)
    for name, size in sorted(documents.items()):
        if size > MOST_KNOWLEDGE:
            text = f"its documents are {size / 1024:.0f} KiB packed, and a ConfigMap takes {MOST_KNOWLEDGE // 1024}"
            yield _error("knowledge-size", f"services.{name}.knowledge.documents", text, "fewer or smaller documents")
    yield from _planned_only(stack)


def _error(rule: str, path: str, text: str, fix: str) -> Finding:
    return Finding(level=Level.ERROR, rule=rule, path=path, text=text, fix=fix)


def _folders(candidate: Candidate) -> Iterator[Finding]:
    model, hubs = candidate.model, "put it where pods can fetch it: s3://, hf:// or modelscope://"
    if model is not None and model.reference.source.startswith("/"):
        text = f"{model.reference.source} is a folder of this machine, which pods do not have"
        yield _error("cluster-folder", f"{candidate.path}.model", text, hubs)
    for name, adapter in sorted(candidate.adapters.items()):
        if adapter.reference.source.startswith("/"):
            text = f"{adapter.reference.source} is a folder of this machine, which pods do not have"
            yield _error("cluster-folder", f"{candidate.path}.adapters.{name}", text, hubs)
    for index, mount in enumerate(candidate.declared.storage):
        if mount_source(mount.source).kind == "path":
            text = f"{mount.source} is a folder of this machine, which pods do not have"
            fix = "pvc://CLAIM[/PATH], s3://, git+https:// or empty://"
            yield _error("cluster-folder", f"{candidate.path}.storage[{index}].source", text, fix)


def _probes(candidate: Candidate) -> Iterator[Finding]:
    probes, path = candidate.declared.probes, f"{candidate.path}.probes"
    if probes.startup is not None and probes.readiness is not None and probes.readiness.http_path is None:
        text = "a container has one startup and one readiness probe, and one of them has to ask whether the engine runs"
        fix = "a readiness check by httpPath, or no startup check: startup then waits for the engine"
        yield _error("probe-both", f"{path}.startup", text, fix)
    for kind in ("startup", "liveness"):
        probe = getattr(probes, kind)
        if probe is not None and probe.success_threshold != 1:
            text = (
                f"Kubernetes takes a {kind} check as passed at its first success, not after {probe.success_threshold}"
            )
            yield _error("probe-threshold", f"{path}.{kind}.successThreshold", text, "successThreshold: 1")


def _name(service: str) -> Iterator[Finding]:
    if object_name(service) == GATEWAY:
        text = f"its Service would be called {GATEWAY}, which is the gateway's own name"
        yield _error("service-name", f"services.{service}", text, "another name")


def _planned_only(stack: Stack) -> Iterator[Finding]:
    """A quota's money and GPU memory, and a group's nodes, are nothing that Kubernetes counts."""
    if isinstance(stack.target, LocalTarget):
        return
    for name, quota in sorted(stack.quotas.items()):
        declared = quota.model_dump(by_alias=True, exclude_none=True)
        loose = [key for key in ("usdPerHour", "gpuMemoryGiB") if key in declared]
        held = [key for key in ENFORCED if key in declared]
        if loose:
            also = f"; the cluster enforces {', '.join(held)}" if held else ""
            text = f"{' and '.join(loose)} {'are' if len(loose) > 1 else 'is'} planned but not enforced{also}"
            yield Finding(level=Level.NOTE, rule="not-enforced", path=f"quotas.{name}", text=text)


def cache_claim(model: ModelReference) -> str | None:
    """The volume claim that holds a model, by its content: two versions of one model share it.

    None for what is in the image.
    """
    if model.source.startswith("embedded://"):
        return None
    return f"model-{hashlib.sha256(f'{model.source} {model.digest}'.encode()).hexdigest()[:10]}"


def cache_findings(stack: Stack, versions: Mapping[str, Sequence[VersionPlan]]) -> Iterator[Finding]:
    """Models that do not fit the volumes of `target.modelCache`; by service."""
    if isinstance(stack.target, LocalTarget) or stack.target.model_cache is None:
        return
    size = stack.target.model_cache.size_gib
    for service, planned in sorted(versions.items()):
        for version in planned:
            weights = sum(term.bytes for term in version.terms if term.name == "weights")
            gpus = max(1, version.template.gpus)
            if version.template.model_cache and weights * gpus > size * 2**30:
                text = f"the weights of {service}/{version.name} are {gib(weights * gpus)} GiB, a volume has {size:g}"
                fix = f"sizeGiB: {-(-weights * gpus * 12 // 10) // 2**30 + 1}"
                yield _error("cache-size", "target.modelCache.sizeGiB", text, fix)
