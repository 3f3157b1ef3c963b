"""How many replicas a version should have now, and what time alone changes about it. Pure."""

from __future__ import annotations

from dataclasses import replace

from runtime.contract.desired import Token, Version
from runtime.contract.host import Scale, TokenRecord
from runtime.contract.route import RouteTable
from runtime.contract.version import Bounds

ORPHAN_SECONDS = 600.0
"""Neither routed nor leased for so long: the version is scaled to zero and listed as drift."""
HOLD_SECONDS = 60.0
"""A start of a stopped service proves its version, ends the lease, then moves the route; in between it runs on."""


class OutOfBounds(ValueError):
    """A live count that the declared bounds do not allow."""


def is_routed(version: Version, route: RouteTable | None) -> bool:
    """True when the route names the version; weight 0 counts."""
    return route is not None and any(named.hash == version.record.hash for named in route.versions.values())


def is_leased(version: Version, now: float) -> bool:
    """True while a rollout's lease lasts."""
    return now < version.lease_until


def wanted(version: Version, route: RouteTable | None, now: float) -> int:
    """Replicas wanted now; the first rule that matches wins.

    1. Being deleted: 0.
    2. Leased by a rollout: the temporary count if there is one, else the live count, stopped or not.
    3. Swept as an orphan: 0.
    4. The service is stopped and no lease has just ended: 0.
    5. Otherwise the live count.
    """
    if version.deleting:
        return 0
    if is_leased(version, now):
        return version.live if version.temporary is None else version.temporary
    if version.swept:
        return 0
    if route is not None and route.stopped and now >= version.hold_until:
        return 0
    return version.live


def clamp(live: int, bounds: Bounds, *, routed: bool) -> int:
    """A live count inside the bounds. `min` binds once the version is routed: before that it may rest at 0."""
    return min(max(live, bounds.min if routed else 0), bounds.max)


def scaled(version: Version, scale: Scale, *, routed: bool, now: float) -> Version:
    """The version after a scale; raises OutOfBounds.

    1. Temporary: any count, for as long as the lease lasts; without a lease there is nothing that would end it.
    2. Zero while no route names the version: always allowed, this is how a failed rollout ends.
    3. Otherwise inside the bounds.
    """
    name, bounds = f"{version.record.service}.{version.record.name}", version.record.bounds
    if scale.replicas < 0:
        raise OutOfBounds(f"replicas: {scale.replicas} is negative")
    if scale.temporary:
        if not is_leased(version, now):
            raise OutOfBounds(f"replicas: a temporary count of {name} needs a lease; take one first")
        return replace(version, temporary=scale.replicas)
    if not (scale.replicas == 0 and not routed) and not bounds.min <= scale.replicas <= bounds.max:
        raise OutOfBounds(f"replicas: {scale.replicas} is outside the bounds {bounds.min} to {bounds.max} of {name}")
    orphan_since = version.orphan_since if scale.replicas == 0 or not version.swept else now
    swept = version.swept and scale.replicas == 0
    kept = replace(version, temporary=None, swept=swept, orphan_since=orphan_since)
    return replace(kept, live=scale.replicas, because=scale.reason)


def leased(version: Version, seconds: float, now: float) -> Version:
    """The version under a rollout's lease: what failed before is forgotten, and it is no orphan."""
    until = now + seconds
    return replace(version, lease_until=until, hold_until=0, failure=None, swept=False, orphan_since=None)


def released(version: Version, *, routed: bool, now: float) -> Version:
    """The version after its lease: a temporary count ends, and a version that nobody routes keeps no more than that."""
    live = clamp(version.live, version.record.bounds, routed=routed)
    if version.temporary is not None and not routed:
        live = min(live, version.temporary)
    return replace(version, live=live, lease_until=0, temporary=None, hold_until=now + HOLD_SECONDS)


def aged(version: Version, route: RouteTable | None, now: float) -> Version:
    """What time does to a version. Equal to `version` when nothing changed.

    1. A lease that has run out is released.
    2. Routed: no orphan, not swept, and at least `min` replicas.
    3. Leased: no orphan.
    4. An orphan for ORPHAN_SECONDS: swept to zero.
    5. Otherwise it is an orphan from now on.
    """
    routed = is_routed(version, route)
    if version.lease_until and not is_leased(version, now):
        version = replace(released(version, routed=routed, now=now), hold_until=0)
    if routed:
        live = clamp(version.live, version.record.bounds, routed=True)
        return replace(version, live=live, orphan_since=None, swept=False)
    if is_leased(version, now):
        return replace(version, orphan_since=None)
    if version.orphan_since is None:
        return replace(version, orphan_since=now)
    if now >= version.orphan_since + ORPHAN_SECONDS and not version.swept:
        return replace(version, swept=True, live=0)
    return version


def rotated(stored: Token | None, record: TokenRecord, now: float) -> Token:
    """The token after a write: the first of a rotation wins, another rotation replaces it, with an overlap.

    Another, not only a higher one: when a killed update has rotated and the file is then reverted, the token that
    Pulumi's state holds comes back under its old number.
    """
    if stored is None:
        return Token(record=record)
    if stored.record.rotation == record.rotation:
        return replace(stored, record=stored.record.model_copy(update={"overlap_seconds": record.overlap_seconds}))
    return Token(record=record, before=stored.record.token, before_until=now + record.overlap_seconds)
