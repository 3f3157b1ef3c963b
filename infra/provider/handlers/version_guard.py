"""VersionGuard: keeps a version while a route names it; `pulumi up --continue-on-error` would delete it otherwise."""

from __future__ import annotations

from infra.hostclient import HostProblem
from infra.place import Place
from infra.provider.handlers.base import Handler, Values
from infra.provider.handlers.version import STOP_SECONDS
from infra.provider.identity import Identity
from infra.provider.operation import Operation, Refused
from runtime.contract.document import Document
from runtime.contract.route import RouteTable


class GuardInputs(Document):
    """What is declared."""

    state: str
    service: str
    hash: str


class VersionGuardHandler(Handler[GuardInputs]):
    """Delete refuses while routed, then waits until no request is in flight."""

    name = "VersionGuard"
    form = "STATE|SERVICE/HASH"
    description = "Refuses the deletion of a version that a route still names; then drains it."
    inputs = GuardInputs

    def create(self, inputs: Values, args: GuardInputs, operation: Operation) -> tuple[str, Values]:
        """Nothing to make: the guard is its delete."""
        return str(self.identity(args)), dict(inputs)

    def delete(self, id: str, outputs: Values, args: GuardInputs, operation: Operation) -> None:
        """Refuse or drain."""
        host = self.hosts.remover(args.state, operation)
        if host is None:
            return
        try:
            refusal = still_routed(args, host.route(args.service).table)
        except HostProblem as problem:
            if problem.code != "NotFound":
                raise
            refusal = ""
        if refusal:
            raise Refused(refusal)
        try:
            drain = host.version(args.service, args.hash).record.template.drain_seconds
            operation.status("waiting for requests in flight")
            host.drain(args.service, args.hash, timeout=drain + STOP_SECONDS)
            operation.status("")
        except HostProblem as problem:
            if problem.code != "NotFound":
                raise

    def found(self, where: Identity, host: Place, inputs: Values, outputs: Values) -> tuple[Values, Values] | None:
        """It is there as long as its version is."""
        host.version(where.service, where.hash)
        inputs = inputs or {"state": where.state, "service": where.service, "hash": where.hash}
        return inputs, dict(inputs)


def still_routed(args: GuardInputs, table: RouteTable) -> str:
    """Why the version may not go yet, in words; empty when no route names it."""
    for name, version in table.versions.items():
        if version.hash == args.hash:
            return (
                f"the route of service {args.service} still sends {version.weight} % of its requests to version {name} "
                f"({args.hash}), so it is kept; it goes with the first `pulumi up` after the route has moved away"
            )
    return ""
