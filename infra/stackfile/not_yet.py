"""What a stack file may say and a target cannot do yet: one row per key. Delete a row when its feature is built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.stackfile.errors import Location, StackFileError, dotted
from infra.stackfile.targets import TARGETS


@dataclass(frozen=True, slots=True)
class NotYet:
    """A key (`*` is any name) that is refused when it is set, or only when it has one of `values`."""

    path: str
    values: tuple[str, ...] = ()
    instead: str = ""
    reason: str = "is not available on target {target} yet"


LOCAL: tuple[NotYet, ...] = (
    NotYet("mirrors"),
    NotYet("resourceGroups.*.spot"),
    NotYet("services.*.method", ("process",), "standard, vllm and bladellm are available"),
    NotYet("services.*.autoscaler", ("hpa", "keda"), "gateway scales here", "needs a cluster, this is target {target}"),
    NotYet("services.*.resources.spot"),
    NotYet("services.*.resources.gpuFraction"),
)
KUBERNETES: tuple[NotYet, ...] = (
    NotYet("mirrors"),
    NotYet("resourceGroups.*.spot"),
    NotYet("services.*.method", ("process",), "standard, vllm and bladellm are available"),
    NotYet("services.*.resources.spot"),
    NotYet("services.*.resources.gpuFraction"),
)
ROWS: Mapping[str, tuple[NotYet, ...]] = {"local": LOCAL, "kubernetes": KUBERNETES}
"""By kind of target; a kind that is not here is not built at all."""


def not_available(config: Mapping[str, Any], *, rows: Mapping[str, Sequence[NotYet]] = ROWS) -> list[StackFileError]:
    """The errors for everything in a normalised config (versions always a mapping) that is not built yet. Pure."""
    target = config.get("target")
    kind = target.get("kind", "local") if isinstance(target, Mapping) else "local"
    if not isinstance(kind, str) or kind not in TARGETS:
        return []  # no kind at all: another error says so
    if kind not in rows:
        built = " and ".join(rows)
        near = f"{built} {'are' if len(rows) > 1 else 'is'} available"
        return [StackFileError(path="target.kind", value=kind, reason="is not available yet", nearest=near)]
    return [
        StackFileError(path=dotted(at), value=value, reason=row.reason.format(target=kind), nearest=row.instead)
        for row in rows[kind]
        for at, value in _matches(config, row.path.split("."), ())
        if (value in row.values if row.values else bool(value))
    ]


def _matches(data: Any, pattern: Sequence[str], at: Location) -> Iterator[tuple[Location, Any]]:
    if not pattern:
        yield at, data
    elif isinstance(data, Mapping):
        for key in data if pattern[0] == "*" else [pattern[0]]:
            if key in data:
                yield from _matches(data[key], pattern[1:], (*at, key))
