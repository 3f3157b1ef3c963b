"""Rollout: the only waiter. It proves a version before its route moves, and what was stopped, lost or grown again.

It is also the last to let a version go: `pulumi up --continue-on-error` would delete the one that serves otherwise.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import ClassVar

from infra.hostclient import Absent, gateway_url
from infra.place import Place
from infra.provider.diff import Change
from infra.provider.handlers.base import Handler, Values
from infra.provider.handlers.version import STOP_SECONDS
from infra.provider.hosts import Hosts
from infra.provider.identity import Identity, same_place
from infra.provider.operation import Operation, Refused
from infra.provider.rollout_run import Clock, RolloutInputs, RolloutRun, route_table
from infra.provider.values import Secret, plain
from runtime.contract.host import GatewaySettings
from runtime.contract.route import RouteTable


class RolloutHandler(Handler[RolloutInputs]):
    """Create proves a new version; an update proves again what was stopped, lost, moved or grown.

    Delete refuses while the version is routed, then waits until no request is in flight on it.
    """

    name = "Rollout"
    form = "STATE|SERVICE/HASH"
    description = (
        "Waits for a version's replicas and proves them by one generation through the gateway. "
        "Refuses the deletion of a version that a route still names; then drains it."
    )
    inputs = RolloutInputs
    outputs: ClassVar = {
        "proven": {"type": "boolean", "description": "A generation was answered by this very version."}
    }
    secrets = frozenset({"token"})
    undiffed = frozenset({"share", "strategy", "token"})
    not_repeated = frozenset({"share", "token", "timeouts"})
    observed = "proven"

    def __init__(self, hosts: Hosts, clock: Clock | None = None) -> None:
        super().__init__(hosts)
        self._clock = clock or Clock()
        self._lock = threading.Lock()
        self._services: dict[tuple[str, str], threading.Lock] = {}

    def altered(self, host: Place, args: RolloutInputs, outputs: Values) -> str:
        """A version that is meant to serve and cannot start."""
        state = host.version(args.service, args.hash)
        if not args.stopped and state.failure is not None and not any(replica.ready for replica in state.replicas):
            return f"no replica is ready: {state.failure.reason}"
        return ""

    def seen(self, args: RolloutInputs, outputs: Values) -> str:
        """A refresh found that no replica is ready."""
        return "no replica was ready" if not args.stopped and outputs.get("proven") is False else ""

    def explain(self, changes: list[Change]) -> str:
        """What is done again, in words."""
        if any(change.top in ("replicas", "endpoint", "stopped") for change in changes):
            return "in place: running replicas are not restarted"
        return ""

    def create(self, inputs: Values, args: RolloutInputs, operation: Operation) -> tuple[str, Values]:
        """Prove it. A stopped service is not proven: there is nothing that runs."""
        if not args.stopped:
            with self._one_recreate(args):
                self._run(args, operation).prove()
        return str(self.identity(args)), {**self.repeated(inputs), "proven": not args.stopped}

    def update(
        self, id: str, old: Values, outputs: Values, inputs: Values, args: RolloutInputs, operation: Operation
    ) -> Values:
        """Prove it again unless only a setting for later rollouts changed."""
        before = RolloutInputs.model_validate(plain(old))
        settings = {"strategy", "surge", "timeouts", "share", "token"}
        if same_place(before.state, args.state):
            settings.add("state")  # a kubeconfig has moved
        same = before.model_dump(exclude=settings) == args.model_dump(exclude=settings)
        changed = before.model_dump(include=settings) != args.model_dump(include=settings)
        if same and changed and outputs.get("proven"):
            return {**self.repeated(inputs), "proven": True}
        return self.create(inputs, args, operation)[1]

    def delete(self, id: str, outputs: Values, args: RolloutInputs, operation: Operation) -> None:
        """Refuse or drain."""
        host = self.hosts.remover(args.state, operation)
        if host is None:
            return
        table = route_table(host, args.service)
        if table is not None and (refusal := still_routed(args.hash, table)):
            raise Refused(refusal)
        with suppress(Absent):
            drain = host.version(args.service, args.hash).record.template.drain_seconds
            operation.status("waiting for requests in flight")
            host.drain(args.service, args.hash, timeout=drain + STOP_SECONDS)
            operation.status("")

    def found(self, where: Identity, host: Place, inputs: Values, outputs: Values) -> tuple[Values, Values] | None:
        """It is there as long as its version is; on an import its inputs are what the host knows."""
        if inputs:
            wrong = self.altered(host, self.inputs.model_validate({"token": "", **plain(inputs)}), outputs)
            return inputs, {**outputs, "proven": False} if wrong else outputs
        state = host.version(where.service, where.hash)
        table = route_table(host, where.service)
        weight = next((v.weight for v in table.versions.values() if v.hash == where.hash), 0) if table else 0
        actual = RolloutInputs(
            state=where.state,
            endpoint=host.gateway_url() or gateway_url(GatewaySettings()),
            service=where.service,
            hash=where.hash,
            stopped=table.stopped if table else False,
            replicas=state.record.bounds,
            share=weight,
            token="",  # `pulumi import` prints inputs as code. The program's own takes its place and is no change
        )
        inputs = {**actual.to_data(), "token": Secret("")}
        return inputs, {**self.repeated(inputs), "proven": any(replica.ready for replica in state.replicas)}

    def _run(self, args: RolloutInputs, operation: Operation) -> RolloutRun:
        return RolloutRun(args, operation, self.hosts.writer(args.state, operation), self._clock)

    @contextmanager
    def _one_recreate(self, args: RolloutInputs) -> Iterator[None]:
        """Two new versions of one service must not both take its memory at once."""
        if args.strategy != "recreate":
            yield
            return
        with self._lock:
            lock = self._services.setdefault((args.state, args.service), threading.Lock())
        with lock:
            yield


def still_routed(hash: str, table: RouteTable) -> str:
    """Why a version may not go yet, in words; empty when no route names it."""
    for name, version in table.versions.items():
        if version.hash == hash:
            return (
                f"the route of service {table.service} still sends {version.weight} % of its requests to version "
                f"{name} ({hash}), so it is kept; it goes with the first `pulumi up` after the route has moved away"
            )
    return ""
