"""The view that gateways watch; its revision counts its changes."""

from __future__ import annotations

from runtime.contract.host import GatewayView, ServiceView


class View:
    """The newest view of this incarnation of the host."""

    def __init__(self, incarnation: str) -> None:
        self.current = GatewayView(incarnation=incarnation, revision=1)

    def update(self, services: dict[str, ServiceView]) -> bool:
        """Take the services; True when they differ from what was there: then the revision is one higher."""
        if services == self.current.services:
            return False
        revision = self.current.revision + 1
        self.current = GatewayView(incarnation=self.current.incarnation, revision=revision, services=services)
        return True
