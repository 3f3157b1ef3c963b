"""What gateways have reported: which view they have applied and what they have in flight."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from runtime.contract.host import GatewayReport

SILENT_SECONDS = 5.0
"""A gateway that has not reported for so long no longer counts."""


class Reports:
    """The newest report of each gateway. `now` gives seconds that never go back."""

    def __init__(self, incarnation: str, now: Callable[[], float]) -> None:
        self._incarnation = incarnation
        self._now = now
        self._reports: dict[str, tuple[float, GatewayReport]] = {}

    def add(self, report: GatewayReport) -> None:
        self._reports[report.gateway] = (self._now(), report)

    def forget(self, keep: Iterable[str] = ()) -> None:
        """The gateway's process is gone: what it reported no longer holds."""
        self._reports = {name: entry for name, entry in self._reports.items() if name in set(keep)}

    def live(self) -> list[GatewayReport]:
        """Of gateways that are not silent."""
        oldest = self._now() - SILENT_SECONDS
        return [report for at, report in self._reports.values() if at > oldest]

    def has(self, gateway: str) -> bool:
        """True when this gateway has reported to this incarnation of the host and is not silent."""
        return any(report.gateway == gateway and self._applied(report) >= 0 for report in self.live())

    def revision(self) -> int | None:
        """The revision of our view that every live gateway has applied; None when there is no live gateway."""
        live = self.live()
        return min((self._applied(report) for report in live), default=None)

    def _applied(self, report: GatewayReport) -> int:
        return report.revision if report.incarnation == self._incarnation else -1

    def generation(self, service: str) -> int:
        """The generation of a route that every live gateway has applied; 0 when there is none."""
        return min((report.generations.get(service, 0) for report in self.live()), default=0)

    def in_flight(self, replicas: Iterable[str]) -> int:
        """Requests that gateways have in flight on these replicas."""
        names = set(replicas)
        return sum(count for report in self.live() for name, count in report.in_flight.items() if name in names)
