"""Gateway: the one door to all services of a stack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from components._planning import project_folder
from components.targets import local
from infra.resources import options, token
from runtime.contract.host import GatewaySettings


class Gateway(pulumi.ComponentResource):
    """Where requests arrive. On target local it brings the host, the daemon that runs everything.

    Arguments: host (127.0.0.1), port (8070), state (the host's folder; .inferform/STACK in the project's folder).
    """

    state: pulumi.Output[str]
    """The host's folder, absolute."""
    endpoint: pulumi.Output[str]
    """http://HOST:PORT"""

    def __init__(
        self, name: str, args: Mapping[str, Any] | None = None, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        args = dict(args or {})
        super().__init__(token("Gateway"), name, args, options(opts))
        folder = project_folder()
        state = folder / (args.get("state") or f".inferform/{pulumi.get_stack()}")
        settings = GatewaySettings(**{key: args[key] for key in ("host", "port") if key in args})
        host = local.host(name, state=str(state.expanduser().absolute()), settings=settings, parent=self)
        self.state, self.endpoint = host.state, host.endpoint
        self.register_outputs(self.outputs())

    def outputs(self) -> dict[str, Any]:
        """What the gateway gives to services."""
        return {"state": self.state, "endpoint": self.endpoint}
