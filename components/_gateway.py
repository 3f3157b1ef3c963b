"""Gateway: the one door to all services of a stack."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pulumi
from pydantic import ValidationError

from components._planning import project_folder
from components.errors import Refused
from components.targets import local
from infra.resources import options, token
from infra.stackfile import KubernetesTarget
from runtime.contract.host import GatewaySettings

if TYPE_CHECKING:
    from components.targets.kubernetes.stack import Door


class Gateway(pulumi.ComponentResource):
    """Where requests arrive. On target local it brings the host, the daemon that runs everything.

    Arguments on local: host (127.0.0.1), port (8070), state (the host's folder; .inferform/STACK in the project's
    folder). On a cluster: the keys of `target`, and image, which the plan has by digest; autoscalers: by service, `hpa`
    or `keda`, where one names it.
    """

    state: pulumi.Output[str]
    """The host's folder, absolute; on a cluster kubernetes://CONTEXT/NAMESPACE."""
    endpoint: pulumi.Output[str]
    """http://HOST:PORT"""

    def __init__(
        self, name: str, args: Mapping[str, Any] | None = None, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        args = dict(args or {})
        super().__init__(token("Gateway"), name, args, options(opts))
        self.door: Door | None = None
        """On a cluster: what its services are declared with."""
        if args.get("kind", "local") == "local":
            folder = project_folder()
            state = folder / (args.get("state") or f".inferform/{pulumi.get_stack()}")
            settings = GatewaySettings(**{key: args[key] for key in ("host", "port") if key in args})
            host = local.host(name, state=str(state.expanduser().absolute()), settings=settings, parent=self)
            self.state, self.endpoint = host.state, host.endpoint
        else:
            from components.targets.kubernetes.stack import door

            autoscalers = args.pop("autoscalers", None)
            target = cluster_target(args)
            if target.image is None:
                raise Refused(f"Gateway {name}: image is missing; name it by digest")
            self.door = door(name, target, target.image, autoscalers=autoscalers, parent=self)
            self.state = pulumi.Output.from_input(self.door.cluster.state)
            self.endpoint = pulumi.Output.from_input(self.door.endpoint)
        self.register_outputs(self.outputs())

    def outputs(self) -> dict[str, Any]:
        """What the gateway gives to services."""
        return {"state": self.state, "endpoint": self.endpoint}


def cluster_target(args: Mapping[str, Any]) -> KubernetesTarget:
    """A target from plain data. Raises Refused."""
    try:
        return KubernetesTarget.model_validate_json(json.dumps(dict(args)))
    except ValidationError as wrong:
        first = wrong.errors()[0]
        raise Refused(f"target.{'.'.join(map(str, first['loc']))}: {first['msg']}") from wrong
