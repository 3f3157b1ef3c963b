"""What changed between two declarations of a resource: property paths, as `pulumi preview --diff` shows them. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from infra.provider.values import plain

Kind = Literal["ADD", "UPDATE", "DELETE"]
_ABSENT = object()
_IDENTIFIER = re.compile(r"^[A-Za-z_$][\w$]*$")


@dataclass(frozen=True)
class Change:
    """One changed property. `top` is the input it belongs to; observed: the target differs, not the declaration."""

    path: str
    top: str
    kind: Kind
    observed: bool = False


def changes(old: Mapping[str, Any], new: Mapping[str, Any], *, ignored: Collection[str] = ()) -> list[Change]:
    """All differences, deepest path first named; secrets compare by their value, an unknown new value is a change."""
    found: list[Change] = []
    for key in sorted(old.keys() | new.keys()):
        if key not in ignored:
            _compare(plain(old.get(key, _ABSENT)), plain(new.get(key, _ABSENT)), key, key, found)
    return found


def _compare(old: Any, new: Any, path: str, top: str, found: list[Change]) -> None:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            step = f".{key}" if _IDENTIFIER.match(key) else f'["{key}"]'
            _compare(old.get(key, _ABSENT), new.get(key, _ABSENT), path + step, top, found)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else _ABSENT
            after = new[index] if index < len(new) else _ABSENT
            _compare(before, after, f"{path}[{index}]", top, found)
    elif old is _ABSENT and new is not _ABSENT:
        found.append(Change(path, top, "ADD"))
    elif new is _ABSENT and old is not _ABSENT:
        found.append(Change(path, top, "DELETE"))
    elif type(old) is bool or type(new) is bool:
        if old is not new:  # True == 1 in Python, not in a stack file
            found.append(Change(path, top, "UPDATE"))
    elif old != new:
        found.append(Change(path, top, "UPDATE"))
