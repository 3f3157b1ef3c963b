"""Route: the only writer of a service's RouteTable. It returns when every ready gateway has applied it."""

from __future__ import annotations

import time
from typing import ClassVar, Literal

from pydantic import Field

from infra.hostclient import HostProblem, gateway_url
from infra.place import Gateways, Place
from infra.provider.diff import Change
from infra.provider.gateway_wait import GatewayWait
from infra.provider.handlers.base import Failure, Handler, InitFailed, Values, refreshed
from infra.provider.identity import Identity
from infra.provider.operation import Operation
from infra.provider.values import UNKNOWN
from runtime.contract.cluster import PART, PART_GATEWAY, is_cluster, parse_address
from runtime.contract.host import GatewaySettings, RouteState
from runtime.contract.names import PREDICT_PREFIX
from runtime.contract.route import RouteTable, RouteVersion

APPLY_SECONDS = 60.0
SLICE_SECONDS = 2.0


class RouteInputs(RouteTable):
    """What is declared: the table but for its generation, which is the host's, and where host and gateway are."""

    state: str
    gateway: str
    versions: dict[str, RouteVersion]
    generation: Literal[0] = Field(default=0, exclude=True)

    def table(self) -> RouteTable:
        """The host's document."""
        return RouteTable(**self.model_dump(exclude={"state", "gateway"}))

    def endpoint(self) -> str:
        """The service's URL."""
        return service_endpoint(self.gateway, self.service)


def service_endpoint(gateway: str, service: str) -> str:
    """A service's URL behind a gateway."""
    return f"{gateway.rstrip('/')}{PREDICT_PREFIX}{service}"


class RouteHandler(Handler[RouteInputs]):
    """Which versions answer, in which shares, under which limits."""

    name = "Route"
    form = "STATE|SERVICE"
    description = "Which versions of a service answer, in which shares, under which limits. Changes restart nothing."
    inputs = RouteInputs
    outputs: ClassVar = {
        "endpoint": {"type": "string", "description": "The service's URL."},
        "generation": {"type": "integer", "description": "Counts the changes of the table."},
    }
    replace_on = frozenset({"state", "service"})
    observed = "generation"

    def refuse(self, old: Values, args: RouteInputs, operation: Operation) -> list[Failure]:
        """Weights are percents of one whole."""
        total = sum(version.weight for version in args.versions.values())
        return [] if total == 100 else [Failure("versions", f"weights sum to {total}, they must sum to 100")]

    def planned(self, inputs: Values, outputs: Values | None) -> Values:
        """The URL follows from the inputs."""
        gateway = inputs.get("gateway")
        url = service_endpoint(gateway, str(inputs.get("service"))) if isinstance(gateway, str) else UNKNOWN
        return {**super().planned(inputs, outputs), "endpoint": url}

    def altered(self, host: Place, args: RouteInputs, outputs: Values) -> str:
        """Another table than declared."""
        return "" if _same(host.route(args.service).table, args.table()) else "the host has another table"

    def explain(self, changes: list[Change]) -> str:
        """Traffic in words."""
        if any(change.path == "stopped" for change in changes):
            return "in place: stopping answers 503 at once and ends all replicas; starting proves a replica first"
        return "in place: the gateway applies it, no replica restarts"

    def create(self, inputs: Values, args: RouteInputs, operation: Operation) -> tuple[str, Values]:
        """Write the table and wait for the gateways."""
        host = self.hosts.writer(args.state, operation)
        state = host.put_route(args.table(), url=args.endpoint())
        generation = state.table.generation
        id = str(self.identity(args))
        outputs = {**inputs, "endpoint": args.endpoint(), "generation": generation}
        applied, failed = self._wait(host, args.service, generation, operation)
        if failed is not None:
            tail = "".join(f"\n  | {line}" for line in failed.log_tail)
            reason = (
                f"no gateway applies generation {generation} of the route: {failed.failure}; `pulumi up` tries again"
                f"{f'; the log ends with:{tail}' if tail else f'; the log: {gateway_log(args.state)}'}"
            )
            raise InitFailed(id, outputs, inputs, [reason])
        if applied < generation:
            reason = (
                f"no ready gateway applied generation {generation} of the route within {APPLY_SECONDS:g} s "
                f"(applied: {applied}); `pulumi up` tries again; the gateway's log: {gateway_log(args.state)}"
            )
            raise InitFailed(id, outputs, inputs, [reason])
        operation.status(f"generation {generation} is applied")
        return id, outputs

    def delete(self, id: str, outputs: Values, args: RouteInputs, operation: Operation) -> None:
        """Take the service away; its versions go after it."""
        if host := self.hosts.remover(args.state, operation):
            host.delete_route(args.service)

    def found(self, where: Identity, host: Place, inputs: Values, outputs: Values) -> tuple[Values, Values] | None:
        """The table as it is."""
        state = host.route(where.service)
        if inputs:
            gateway = str(inputs["gateway"])
        else:
            url = host.endpoint(where.service) or service_endpoint(gateway_url(GatewaySettings()), where.service)
            gateway = url.removesuffix(f"{PREDICT_PREFIX}{where.service}")
        table = state.table.model_dump(exclude={"generation"})
        actual = RouteInputs.model_validate({**table, "state": where.state, "gateway": gateway})
        inputs = refreshed(inputs, actual)
        return inputs, {**inputs, "endpoint": actual.endpoint(), "generation": state.table.generation}

    def _wait(self, host: Place, service: str, generation: int, operation: Operation) -> tuple[int, Gateways | None]:
        """The generation that ready gateways have applied, or why there is no ready gateway.

        The time to apply it begins with a ready gateway: its image may take minutes where everything is new.
        """
        began = time.monotonic()
        deadline = began + APPLY_SECONDS
        wait = GatewayWait(host, time.monotonic, began)
        while True:
            operation.cancellation.check()
            found = wait.look()
            if found.failure:
                return 0, found
            if found.starting:
                deadline = time.monotonic() + APPLY_SECONDS
                operation.status(f"waiting for the gateway: {found.starting}")
            else:
                operation.status(f"waiting for the gateway to apply generation {generation}")
            try:
                return host.wait_route(service, generation, seconds=SLICE_SECONDS).applied, None
            except HostProblem as problem:
                if problem.code != "Invalid":
                    raise
                if time.monotonic() > deadline:
                    state: RouteState = host.route(service)
                    return state.applied, None
            operation.cancellation.sleep(0.05)  # a host without any gateway may refuse at once


def gateway_log(state: str) -> str:
    """Where to read what the gateway says."""
    if is_cluster(state):
        return f"kubectl -n {parse_address(state).namespace} logs -l {PART}={PART_GATEWAY}"
    return f"{state}/logs/gateway.log"


def _same(table: RouteTable, declared: RouteTable) -> bool:
    return table.model_copy(update={"generation": declared.generation}) == declared
