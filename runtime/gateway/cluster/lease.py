"""Who leads? One Lease, taken and renewed by compare-and-swap. Pure; the effects are in `leader.py`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from runtime.kubeapi import Object

LEASE_SECONDS = 15
RENEW_SECONDS = 5.0
GIVE_UP_SECONDS = 10.0
"""A leader that could not renew for so long leads no more: before its lease is over for the others."""


@dataclass(frozen=True)
class Sighting:
    """A holder's renewal, and when we saw it first (monotonic): clocks of machines are not compared."""

    holder: str
    renewed: str
    at: float


def sighting(lease: Object, before: Sighting | None, now: float) -> Sighting:
    """What a Lease says now, with the time of its last change as we saw it."""
    spec = lease.get("spec") or {}
    holder, renewed = str(spec.get("holderIdentity") or ""), str(spec.get("renewTime") or "")
    if before is not None and (before.holder, before.renewed) == (holder, renewed):
        return before
    return Sighting(holder, renewed, now)


def is_free(seen: Sighting, name: str, now: float) -> bool:
    """May `name` take it? It is nobody's, already its own, or was not renewed for LEASE_SECONDS."""
    return seen.holder in ("", name) or now >= seen.at + LEASE_SECONDS


def taken(lease: Object | None, lease_name: str, holder: str, utc: float, *, labels: dict[str, str]) -> Object:
    """The Lease as `holder` writes it; `lease` is what was read, None when there is none."""
    known: dict[str, Any] = dict((lease or {}).get("spec") or {})
    another = known.get("holderIdentity") != holder
    spec = {
        **known,
        "holderIdentity": holder,
        "leaseDurationSeconds": LEASE_SECONDS,
        "renewTime": micro_time(utc),
        "acquireTime": micro_time(utc) if another else known.get("acquireTime"),
        "leaseTransitions": int(known.get("leaseTransitions") or 0) + (1 if another and lease is not None else 0),
    }
    metadata = (lease or {}).get("metadata") or {"name": lease_name, "labels": labels}
    return {"metadata": metadata, "spec": spec}


def released(lease: Object, utc: float) -> Object:
    """The Lease as its holder leaves it: nobody has to wait."""
    spec = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": micro_time(utc)}
    return {"metadata": lease["metadata"], "spec": spec}


def micro_time(utc: float) -> str:
    """Unix seconds as Kubernetes' MicroTime."""
    return datetime.fromtimestamp(utc, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
