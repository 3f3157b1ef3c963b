"""Namespace: where a stack lives on a cluster. The first resource there, and the last to go."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from infra.place import Place
from infra.provider.diff import Change
from infra.provider.handlers.base import Failure, Handler, Values
from infra.provider.identity import Identity
from infra.provider.operation import Operation
from runtime.contract.cluster import is_cluster, parse_address
from runtime.contract.document import Document

CREATE_SECONDS = 400.0
"""A namespace of this name that is being deleted is waited for."""


class NamespaceInputs(Document):
    """What is declared."""

    state: str
    stack: str = Field(description="`project.stack`: two stacks never share a namespace unnoticed.")
    pod_security: bool = Field(default=True, description="A namespace that is made enforces the restricted standard.")
    autoscalers: dict[str, str] = Field(
        default_factory=dict, description="By service: `hpa` or `keda`. The cluster must be able to have them."
    )
    expose: str = Field(default="clusterIP", description="As `target.gateway.expose`: the cluster must know the kind.")


class NamespaceHandler(Handler[NamespaceInputs]):
    """Create makes or adopts it; delete takes what is ours, and the namespace too when it was made here."""

    name = "Namespace"
    form = "STATE"
    description = (
        "The namespace of a stack on a Kubernetes cluster. One that exists is used as it is, and kept; one that was "
        "made goes with its stack."
    )
    inputs = NamespaceInputs
    outputs: ClassVar = {
        "created": {"type": "boolean", "description": "Whether it was made here, and so goes with its stack."},
        "version": {"type": "string", "description": "Of the cluster, e.g. v1.34.1."},
    }
    replace_on = frozenset({"state", "stack"})

    def refuse(self, old: Values, args: NamespaceInputs, operation: Operation) -> list[Failure]:
        """The state must be a cluster's."""
        if not is_cluster(args.state):
            return [Failure("state", f"must be kubernetes://CONTEXT/NAMESPACE, it is {args.state!r}")]
        try:
            parse_address(args.state)
        except ValueError as bad:
            return [Failure("state", str(bad))]
        return []

    def explain(self, changes: list[Change]) -> str:
        """What changes nothing that runs."""
        return "in place: nothing that runs is touched"

    def create(self, inputs: Values, args: NamespaceInputs, operation: Operation) -> tuple[str, Values]:
        """Make or adopt it."""
        from infra.cluster import Needs

        client = self.hosts.cluster(args.state)
        operation.status(f"reaching namespace {client.address.namespace}")
        found = client.ensure_namespace(
            args.stack,
            pod_security=args.pod_security,
            needs=Needs(args.autoscalers, args.expose),
            timeout=CREATE_SECONDS,
        )
        operation.status("made" if found.created else "in use")
        return str(self.identity(args)), {**inputs, "created": found.created, "version": found.version}

    def delete(self, id: str, outputs: Values, args: NamespaceInputs, operation: Operation) -> None:
        """Take what is ours."""
        client = self.hosts.cluster(args.state)
        operation.status(f"removing what belongs to the stack from namespace {client.address.namespace}")
        removed = client.remove_namespace(args.stack, timeout=CREATE_SECONDS)
        self.hosts.forget(args.state)
        if not removed:
            operation.info(f"kept namespace {client.address.namespace}: it was there before this stack")
        operation.status("")

    def found(self, where: Identity, host: Place, inputs: Values, outputs: Values) -> tuple[Values, Values] | None:
        """What is there."""
        state = self.hosts.cluster(where.state).namespace_state()
        if not inputs:
            inputs = {"state": where.state, "stack": state.stack, "podSecurity": state.pod_security}
        return inputs, {**inputs, "created": state.created, "version": state.version}
