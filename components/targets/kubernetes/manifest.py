"""A manifest is plain data, as YAML would have it; what all of ours have in common. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runtime.contract.cluster import HASH, MANAGED_BY, PART, SERVICE

Manifest = dict[str, Any]
"""apiVersion, kind, metadata and the rest, keys as the API server spells them."""
SKIP_AWAIT = {"pulumi.com/skipAwait": "true"}
"""Rollout is the only waiter (DESIGN, `How Pulumi is used`, rule 4)."""


def metadata(
    name: str,
    namespace: str,
    part: str,
    *,
    service: str | None = None,
    hash: str | None = None,
    annotations: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Name, namespace and our labels. Objects of the cluster itself have the namespace `""`."""
    data: dict[str, Any] = {"name": name, "labels": labels(part, service=service, hash=hash)}
    if namespace:
        data["namespace"] = namespace
    if annotations:
        data["annotations"] = dict(annotations)
    return data


def labels(part: str, *, service: str | None = None, hash: str | None = None) -> dict[str, str]:
    """The labels of every object of ours."""
    return {**MANAGED_BY, **selector(part, service=service, hash=hash)}


def selector(part: str, *, service: str | None = None, hash: str | None = None) -> dict[str, str]:
    """The labels that tell a part's objects from all others."""
    chosen = {PART: part, SERVICE: service, HASH: hash}
    return {key: value for key, value in chosen.items() if value is not None}


def amount(number: float) -> str:
    """A quantity of cores or bytes: `500m` for half a core, `2` for two."""
    return f"{number:g}" if float(number).is_integer() else f"{round(number * 1000)}m"


def mebibytes(gib: float) -> str:
    """GiB as a quantity: whole MiB, rounded up, because `4.25Gi` is a fraction that the API server rewrites."""
    return f"{-int(-gib * 1024 // 1)}Mi"
