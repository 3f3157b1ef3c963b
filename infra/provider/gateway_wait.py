"""Waiting for gateways that are on their way: their image may take minutes where everything is new."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from infra.place import Gateways, Place

START_SECONDS = 900.0
"""So long gateways may be on their way before what is waited for runs out of its own time."""


@dataclass
class GatewayWait:
    """One wait. `began`: when it began, on `now`'s clock."""

    host: Place
    now: Callable[[], float]
    began: float

    def look(self) -> Gateways:
        """How the gateways are. One that has been on its way for too long is not waited for any more."""
        found = self.host.gateways()
        late = found.starting and self.now() - self.began >= START_SECONDS
        return Gateways(failure=f"{found.starting}, after {START_SECONDS:g} s") if late else found
