"""Version: the immutable description of what runs, declared to its place. It starts nothing; the Rollout does."""

from __future__ import annotations

from typing import ClassVar

from infra.place import Place
from infra.provider.diff import Change
from infra.provider.handlers.base import Failure, Handler, Values, refreshed
from infra.provider.identity import Identity
from infra.provider.operation import Operation
from runtime.contract.document import Document
from runtime.contract.host import VersionRecord
from runtime.contract.scaling import Scaling
from runtime.contract.version import Bounds, VersionTemplate

STOP_SECONDS = 60.0
"""On top of a template's drain_seconds, for a replica to exit."""


class VersionInputs(Document):
    """What is declared."""

    state: str
    service: str
    name: str
    hash: str
    template: VersionTemplate
    replicas: Bounds = Bounds()
    scaling: Scaling = Scaling()

    def record(self, urn: str = "") -> VersionRecord:
        """The host's document."""
        return VersionRecord(
            service=self.service,
            name=self.name,
            hash=self.hash,
            template=self.template,
            bounds=self.replicas,
            scaling=self.scaling,
            urn=urn,
        )


class VersionHandler(Handler[VersionInputs]):
    """Created, updated in place (bounds, scaling, name) or deleted; what is in the hash never changes under it."""

    name = "Version"
    form = "STATE|SERVICE/HASH"
    description = "An immutable version of a service, named by its content hash; bounds and scaling change in place."
    inputs = VersionInputs
    outputs: ClassVar = {
        "present": {"type": "boolean", "description": "Whether it was there when it was last looked at."}
    }
    undiffed = frozenset({"template"})  # its hash says whether it changed
    not_repeated = frozenset({"template"})
    observed = "present"

    def refuse(self, old: Values, args: VersionInputs, operation: Operation) -> list[Failure]:
        """The hash must be the template's."""
        actual = args.template.hash()
        if actual != args.hash:
            return [Failure("hash", f"is {args.hash}, the template's is {actual}")]
        if not 0 <= args.replicas.min <= args.replicas.max:
            return [Failure("replicas", f"min {args.replicas.min} is not between 0 and max {args.replicas.max}")]
        return []

    def altered(self, host: Place, args: VersionInputs, outputs: Values) -> str:
        """Other bounds, another way to scale or another name than declared."""
        record = host.version(args.service, args.hash).record
        if (record.bounds, record.name) != (args.replicas, args.name):
            return "the host has other replica bounds"
        return "" if record.scaling == args.scaling else "the host has another way to scale"

    def seen(self, args: VersionInputs, outputs: Values) -> str:
        """A refresh found that what its pods read is gone."""
        return "what its replicas read at their start was gone" if outputs.get("present") is False else ""

    def explain(self, changes: list[Change]) -> str:
        """Bounds in words."""
        if any(change.top == "replicas" for change in changes):
            return "in place: replica bounds change, running replicas are not restarted"
        if any(change.top == "scaling" for change in changes):
            return "in place: how it scales changes, running replicas are not restarted"
        return ""

    def create(self, inputs: Values, args: VersionInputs, operation: Operation) -> tuple[str, Values]:
        """Declare it; what the host already has under this hash is adopted."""
        self.hosts.writer(args.state, operation).put_version(args.record(operation.urn))
        return str(self.identity(args)), {**self.repeated(inputs), "present": True}

    def delete(self, id: str, outputs: Values, args: VersionInputs, operation: Operation) -> None:
        """Drain and stop its replicas, then forget it."""
        if host := self.hosts.remover(args.state, operation):
            operation.status("stopping its replicas")
            host.delete_version(args.service, args.hash, timeout=args.template.drain_seconds + STOP_SECONDS)
            operation.status("")

    def found(self, where: Identity, host: Place, inputs: Values, outputs: Values) -> tuple[Values, Values] | None:
        """What the host has declared under this hash."""
        record = host.version(where.service, where.hash).record
        actual = VersionInputs(
            state=where.state,
            service=where.service,
            name=record.name,
            hash=where.hash,
            template=record.template,
            replicas=record.bounds,
            scaling=record.scaling,
        )
        inputs = refreshed(inputs, actual)
        return inputs, {**self.repeated(inputs), "present": not host.lacks(where.service, where.hash)}
