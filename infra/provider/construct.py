"""The components, hosted: Construct for programs in any language that use the generated SDK."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.errors import InputPropertiesError, InputPropertyErrorDetails
from pulumi.provider.provider import ConstructResult, Provider

from infra.resources import VERSION, token

ADDRESSES = ("state", "endpoint")
"""The inputs that may be outputs of other resources; everything else is in a version's hash or its plan."""


class ComponentHost(Provider):
    """Constructs the components of this package. They are imported at the first Construct: most runs have none."""

    def __init__(self) -> None:
        super().__init__(VERSION)

    def construct(
        self, name: str, resource_type: str, inputs: pulumi.Inputs, options: pulumi.ResourceOptions | None = None
    ) -> ConstructResult:
        """Make one component; what the stack file's rules refuse becomes errors by property."""
        from components import Gateway, ModelService, ResourceGroup, ResourceQuota, Stack
        from components.errors import Refused

        kinds: dict[str, type[Gateway | ModelService | ResourceGroup | ResourceQuota | Stack]] = {
            token(kind.__name__): kind for kind in (Gateway, ModelService, ResourceGroup, ResourceQuota, Stack)
        }
        kind = kinds.get(resource_type)
        if kind is None:
            raise ValueError(f"{resource_type} is no component of this package; there are {', '.join(sorted(kinds))}")
        loose = [key for key, value in inputs.items() if key not in ADDRESSES and _has_output(value)]
        if loose:
            reason = "must be a plain value: it decides what runs, so a preview has to know it"
            raise InputPropertiesError("inputs must be plain", [_at(key, reason) for key in loose])
        args = {key: whole(value) for key, value in inputs.items() if value is not None}
        try:
            made = kind(name, args, options)
        except Refused as refused:
            if not refused.errors:
                raise
            prefix = f"services.{name}."
            details = [
                _at(e.path.removeprefix(prefix), f"{e.reason}; {e.nearest}" if e.nearest else e.reason)
                for e in refused.errors
            ]
            raise InputPropertiesError(str(refused), details) from refused
        return ConstructResult(made.urn, made.outputs())


def _at(path: str, reason: str) -> InputPropertyErrorDetails:
    return InputPropertyErrorDetails(property_path=path, reason=reason)


def _has_output(value: Any) -> bool:
    if isinstance(value, pulumi.Output):
        return True
    if isinstance(value, Mapping):
        return any(_has_output(each) for each in value.values())
    return isinstance(value, list) and any(_has_output(each) for each in value)


def whole(value: Any) -> Any:
    """Whole numbers as ints, also inside: the wire knows only doubles."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: whole(each) for key, each in value.items()}
    return [whole(each) for each in value] if isinstance(value, list) else value
