"""What every resource's handler has in common: typed inputs, defaults, errors by property, outputs, drift."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import ValidationError
from pydantic_core import PydanticUndefined

from infra.hostclient import Absent, HostGone, HostProblem, HostTimeout
from infra.place import Place
from infra.provider.diff import Change
from infra.provider.hosts import Hosts
from infra.provider.identity import Identity, parse, same_place
from infra.provider.operation import Operation
from infra.provider.values import UNKNOWN, Unknown, plain
from runtime.contract.cluster import is_cluster
from runtime.contract.document import Document

Values = dict[str, Any]
Inputs = TypeVar("Inputs", bound=Document)
Answer = TypeVar("Answer")


class InitFailed(Exception):
    """The thing exists and is not healthy: the engine keeps it, with these reasons, and the next `up` updates it."""

    def __init__(self, id: str, outputs: Values, inputs: Values, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.id = id
        self.outputs = outputs
        self.inputs = inputs
        self.reasons = reasons


@dataclass(frozen=True)
class Failure:
    """A property that Check refuses."""

    property: str
    reason: str


class Handler(Generic[Inputs]):
    """One resource type. Methods block and are called in threads; `operation` carries log and cancellation."""

    name: ClassVar[str]
    form: ClassVar[str]  # of the id: STATE, STATE|SERVICE or STATE|SERVICE/HASH
    description: ClassVar[str]
    inputs: type[Inputs]
    outputs: ClassVar[dict[str, dict[str, Any]]] = {}  # schema of the outputs that are no inputs
    secrets: ClassVar[frozenset[str]] = frozenset()  # inputs and outputs
    replace_on: ClassVar[frozenset[str]] = frozenset({"state", "service", "hash"})
    delete_first: ClassVar[bool] = False  # a replacement deletes the old one before it makes the new one
    undiffed: ClassVar[frozenset[str]] = frozenset()  # inputs that matter at creation alone
    not_repeated: ClassVar[frozenset[str]] = frozenset()  # inputs that are left out of the outputs: large, or secret
    observed: ClassVar[str] = ""  # the output that a repair shows as changed

    def __init__(self, hosts: Hosts) -> None:
        self.hosts = hosts

    # Check ---------------------------------------------------------------------------------------------------------

    def check(self, old: Values, new: Values, operation: Operation) -> tuple[Values, list[Failure]]:
        """Defaults filled in, and what is wrong by property. Unknown values pass; they are checked when known."""
        filled = {**self._defaults(), **{key: value for key, value in new.items() if not key.startswith("__")}}
        try:
            args = self.inputs.model_validate(plain(filled))
        except ValidationError as invalid:
            failures = [
                Failure(_dotted(error["loc"]), _reason(error["msg"], error["type"], filled))
                for error in invalid.errors()
                if not _at_unknown(plain(filled), error["loc"])
            ]
            return filled, failures
        return filled, self.refuse(old, args, operation)

    def refuse(self, old: Values, args: Inputs, operation: Operation) -> list[Failure]:
        """Further checks, on inputs that are whole and known. `old` is empty for a new resource."""
        return []

    def _defaults(self) -> Values:
        found: Values = {}
        for name, field in self.inputs.model_fields.items():
            if field.default is not PydanticUndefined and field.default is not None and not field.exclude:
                value = field.default
                found[field.alias or name] = value.to_data() if isinstance(value, Document) else value
        return found

    # Preview -------------------------------------------------------------------------------------------------------

    def planned(self, inputs: Values, outputs: Values | None) -> Values:
        """The outputs that a preview shows: of a create (outputs None) or an update of what has these outputs."""
        known = (
            {} if outputs is None else {key: True for key, spec in self.outputs.items() if spec["type"] == "boolean"}
        )
        return {**self.repeated(inputs), **dict.fromkeys(self.outputs, UNKNOWN), **known}

    def repeated(self, inputs: Values) -> Values:
        """The inputs that are outputs as well."""
        return {key: value for key, value in inputs.items() if key not in self.not_repeated}

    # Diff ----------------------------------------------------------------------------------------------------------

    def drift(self, id: str, inputs: Values, outputs: Values) -> str:
        """What of it is gone or altered in the world, in words; empty when all is well. Takes at most 50 ms."""
        args = self.inputs.model_validate(plain(inputs))
        if is_cluster(self.identity(args).state):
            return self.seen(args, plain(outputs))  # a preview needs no cluster
        try:
            return self.altered(self.hosts.asker(self.identity(args).state), args, plain(outputs))
        except HostTimeout:
            return ""  # busy is not gone
        except HostGone:
            return "the host is gone"
        except Absent:
            return self.missing
        except HostProblem:
            return ""

    def seen(self, args: Inputs, outputs: Values) -> str:
        """As `drift`, for a cluster, which is not asked: what the last refresh has seen is in the outputs."""
        return ""

    def replaces(self, old: Values, new: Values) -> frozenset[str]:
        """The inputs whose change makes it another thing. A kubeconfig that moved is the same place."""
        moved = same_place(plain(old.get("state")), plain(new.get("state")))
        return self.replace_on - {"state"} if moved else self.replace_on

    missing: ClassVar[str] = "the host does not know it"

    def altered(self, host: Place, args: Inputs, outputs: Values) -> str:
        """As `drift`, with a host that answers; Absent means gone."""
        return ""

    def explain(self, changes: list[Change]) -> str:
        """What a change means, in words (in place, restart, nothing restarts); empty when there is nothing to say."""
        return ""

    # The world -----------------------------------------------------------------------------------------------------

    def create(self, inputs: Values, args: Inputs, operation: Operation) -> tuple[str, Values]:
        """Make it, or adopt what is there: id and outputs. Raises Refused, InitFailed, HostProblem, HostGone."""
        raise NotImplementedError

    def update(
        self, id: str, old: Values, outputs: Values, inputs: Values, args: Inputs, operation: Operation
    ) -> Values:
        """Bring it to `inputs`, from whatever is there (`old` are the inputs before): the outputs."""
        return self.create(inputs, args, operation)[1]

    def delete(self, id: str, outputs: Values, args: Inputs, operation: Operation) -> None:
        """Remove it; gone already is fine."""

    def read(self, id: str, inputs: Values, outputs: Values, operation: Operation) -> tuple[Values, Values] | None:
        """What really is there: inputs and outputs, None when it is gone. Both arguments are empty on an import.

        While a local host is away nothing is known, so nothing is forgotten: what the state says stays. A cluster that
        cannot be reached is an error: its context may be wrong.
        """
        importing = not inputs
        where = parse(id, self.form)
        if same_place(where.state, state := plain(inputs.get("state"))):
            where = replace(where, state=str(state))  # with the kubeconfig that the id lacks
        try:
            return self.found(where, self.hosts.reader(where.state), inputs, outputs)
        except HostGone:
            if importing or is_cluster(where.state):
                raise
            return self.away(inputs, outputs)
        except Absent:
            return None

    def away(self, inputs: Values, outputs: Values) -> tuple[Values, Values]:
        """What a refresh keeps while the host is away."""
        return inputs, outputs

    def found(self, where: Identity, host: Place, inputs: Values, outputs: Values) -> tuple[Values, Values] | None:
        """As `read`, with a host that answers; Absent means gone."""
        raise NotImplementedError

    def identity(self, args: Inputs) -> Identity:
        """The identity of what these inputs declare."""
        service, digest = getattr(args, "service", ""), getattr(args, "hash", "")
        return Identity(
            getattr(args, "state", ""), service if "SERVICE" in self.form else "", digest if "HASH" in self.form else ""
        )


def refreshed(inputs: Values, actual: Document) -> Values:
    """The inputs of a refresh: property by property as they were where they say what is there, else what is there.

    Equal values may be written differently (defaults left out), and a refresh must not show that.
    """
    found = actual.model_dump(mode="json", by_alias=True, exclude_none=True)
    if not inputs:
        return found
    declared = type(actual).model_validate(plain(inputs))
    for name, field in type(actual).model_fields.items():
        key = field.alias or name
        if getattr(declared, name) == getattr(actual, name):
            found.pop(key, None)
            if key in inputs:
                found[key] = inputs[key]
    return found


def _dotted(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def _reason(message: str, kind: str, filled: Mapping[str, Any]) -> str:
    if kind == "missing":
        return "is required"
    if kind == "extra_forbidden":
        return "is no property of this resource"
    return message


def _at_unknown(data: Any, location: tuple[int | str, ...]) -> bool:
    for part in location:
        if isinstance(data, Unknown):
            return True
        match data:
            case dict() if part in data:
                data = data[part]
            case list() if isinstance(part, int) and part < len(data):
                data = data[part]
            case _:
                break
    return isinstance(data, Unknown)
