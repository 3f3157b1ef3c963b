"""What the autoscaler needs of its target: somebody who changes counts, and what other gateways see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from runtime.contract.activity import GatewayActivity


class ScaleFailed(Exception):
    """The count was not changed: refused, or nobody answered. The autoscaler logs it and decides anew."""


class Scaler(Protocol):
    """Changes a version's live count. Local: the host's `PUT .../scale`; a cluster: its row and its Deployment."""

    async def scale(self, service: str, hash: str, replicas: int, reason: str) -> None:
        """Set the live count. Raises ScaleFailed."""


class ActivitySource(Protocol):
    """What the other gateways of the same target see; this gateway's own activity is not part of it."""

    async def others(self) -> Sequence[GatewayActivity]:
        """One document per other live gateway; one that does not answer in time is left out. Never raises."""


class Alone:
    """The source of a target with one gateway."""

    async def others(self) -> Sequence[GatewayActivity]:
        """Nobody."""
        return ()
