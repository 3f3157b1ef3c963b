"""What the gateways' Leases say: which generations they have applied, which versions they are still busy with. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from infra.cluster.pods import Json, is_ready, name_of
from runtime.contract.cluster import APPLIED, BUSY


def applied(service: str, pods: Iterable[Json], leases: Iterable[Json]) -> int:
    """The generation that every ready gateway has applied; 0 without a ready one."""
    by_name = {name_of(lease): lease for lease in leases}
    generations = []
    for pod in pods:
        if is_ready(pod):
            said = _said(by_name.get(name_of(pod)), APPLIED, {})
            generations.append(int(said.get(service, 0)) if isinstance(said, Mapping) else 0)
    return min(generations, default=0)


def ready_gateways(pods: Iterable[Json]) -> list[Json]:
    """The pods that answer requests."""
    return [pod for pod in pods if is_ready(pod)]


def is_busy(service: str, hash: str, pods: Iterable[Json], leases: Iterable[Json]) -> bool:
    """Does any gateway, also one that is leaving, still run a request on this version?"""
    there = {name_of(pod) for pod in pods}
    return any(f"{service}/{hash}" in _said(lease, BUSY, []) for lease in leases if name_of(lease) in there)


def _said(lease: Json | None, key: str, nothing: Any) -> Any:
    if lease is None:
        return nothing
    try:
        return json.loads((lease["metadata"].get("annotations") or {}).get(key) or "null") or nothing
    except ValueError:
        return nothing
