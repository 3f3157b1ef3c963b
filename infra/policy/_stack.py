"""From the resources of a Pulumi stack back to the configuration that a stack file would hold. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.plan import Finding
from infra.resources import token

SECTIONS = {
    token("ModelService"): "services",
    token("ResourceGroup"): "resourceGroups",
    token("ResourceQuota"): "quotas",
}
STACK = token("Stack")
NOT_DECLARED = ("state", "endpoint")
"""Inputs of a ModelService that a stack file has not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One resource as an analyzer sees it."""

    type: str
    name: str
    urn: str
    properties: Mapping[str, Any]


def config_of(resources: Sequence[Resource]) -> dict[str, Any] | None:
    """The configuration; None when there is nothing to check, or the Stack component has checked it already."""
    if any(resource.type == STACK for resource in resources):
        return None
    config: dict[str, dict[str, Any]] = {}
    for resource in resources:
        section = SECTIONS.get(resource.type)
        if section is not None:
            declared = {key: value for key, value in resource.properties.items() if key not in NOT_DECLARED}
            config.setdefault(section, {})[resource.name] = whole_numbers(declared)
    return config if "services" in config else None


def whole_numbers(value: Any) -> Any:
    """The wire knows only doubles; a whole one was an integer."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: whole_numbers(each) for key, each in value.items()}
    if isinstance(value, list):
        return [whole_numbers(each) for each in value]
    return value


def urn_of(finding: Finding, resources: Sequence[Resource]) -> str:
    """The resource that a finding belongs to; empty: the stack."""
    section, _, rest = finding.path.partition(".")
    for resource in resources:
        if SECTIONS.get(resource.type) == section and (rest == resource.name or rest.startswith(f"{resource.name}.")):
            return resource.urn
    return ""
