"""Reading, writing and taking apart plain JSON data by path. A path is a tuple of keys and list places."""

from __future__ import annotations

import copy
from typing import Any

from infra.stackfile.errors import ABSENT, Location, value_at

get = value_at


def put(data: dict[str, Any], path: Location, value: Any) -> None:
    """Set a value, making the mappings on the way. A list on the way must be long enough, or be one place short."""
    parts: list[Any] = list(path)
    last = parts.pop()
    node: Any = data
    for part, following in zip(parts, path[1:], strict=True):
        if isinstance(node, list):
            if part == len(node):
                node.append([] if isinstance(following, int) else {})
            node = node[part]
        else:
            node = node.setdefault(part, [] if isinstance(following, int) else {})
    if isinstance(node, list) and last == len(node):
        node.append(value)
    else:
        node[last] = value


def take(data: dict[str, Any], path: Location) -> Any:
    """Take a value away and answer it, or ABSENT. Mappings that this empties go too; list places stay."""
    value = get(data, path)
    if value is ABSENT:
        return ABSENT
    value = copy.deepcopy(value)
    parents: list[Any] = [get(data, path[:length]) for length in range(len(path))]
    for parent, part in zip(reversed(parents), reversed(path), strict=True):
        if isinstance(parent, list):
            break
        del parent[part]
        if parent:
            break
    return value


def without_nulls(data: Any) -> Any:
    """`null` anywhere means absent."""
    if isinstance(data, dict):
        return {str(key): without_nulls(value) for key, value in data.items() if value is not None}
    if isinstance(data, list):
        return [without_nulls(value) for value in data if value is not None]
    return data
