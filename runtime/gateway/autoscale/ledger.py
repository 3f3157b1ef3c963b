"""Adds up what several gateways count: they come, go and start again at zero, the sums only grow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from runtime.contract.activity import GatewayActivity, VersionCounts
from runtime.gateway.autoscale.measure import Sample

Key = tuple[str, str]
"""A version: service and hash."""
_NOTHING = VersionCounts()


@dataclass(slots=True)
class _Sums:
    wishes: int = 0
    requests: int = 0
    ttft_count: int = 0
    ttft_ms: float = 0

    def add(self, before: VersionCounts, after: VersionCounts) -> None:
        if after.requests < before.requests or after.ttft_count < before.ttft_count or after.wishes < before.wishes:
            before = _NOTHING  # the version had left that gateway's view and came back
        self.wishes += after.wishes - before.wishes
        self.requests += after.requests - before.requests
        self.ttft_count += after.ttft_count - before.ttft_count
        self.ttft_ms += after.ttft_ms - before.ttft_ms


class Ledger:
    """What every gateway said last, and the sums of what it counted since this ledger knows it."""

    def __init__(self) -> None:
        self._said: dict[str, dict[Key, VersionCounts]] = {}  # by gateway
        self._sums: dict[Key, _Sums] = {}

    def take(self, activities: Iterable[GatewayActivity], keys: Iterable[Key], at: float) -> dict[Key, Sample]:
        """A sample of each version in `keys`. A gateway's first word is where its counting begins."""
        wanted = list(keys)
        self._sums = {key: self._sums.get(key) or _Sums() for key in wanted}
        said: dict[str, dict[Key, VersionCounts]] = {}
        for activity in activities:
            before = self._said.get(activity.gateway)
            counts = said[activity.gateway] = {
                (service, digest): each
                for service, by_hash in activity.services.items()
                for digest, each in by_hash.items()
            }
            for key in wanted:
                after = counts.get(key, _NOTHING)
                self._sums[key].add(after if before is None else before.get(key, _NOTHING), after)
        self._said = said
        return {key: self._sample(key, at) for key in wanted}

    def _sample(self, key: Key, at: float) -> Sample:
        now, sums = [counts.get(key, _NOTHING) for counts in self._said.values()], self._sums[key]
        return Sample(
            at=at,
            in_flight=sum(each.in_flight for each in now),
            held=sum(each.held for each in now),
            wishes=sums.wishes,
            requests=sums.requests,
            ttft_count=sums.ttft_count,
            ttft_ms=sums.ttft_ms,
        )
