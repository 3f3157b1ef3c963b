"""YAML as Pulumi's own reader takes it: the words of YAML 1.2, no key twice. Fast, by libyaml where it is there.

PyYAML reads YAML 1.1, where `no` is false, `1:30` is ninety and a date is no text.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml
from yaml.constructor import ConstructorError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

try:
    from yaml import CSafeLoader as _Base
except ImportError:  # pragma: no cover - PyYAML without libyaml
    from yaml import SafeLoader as _Base  # type: ignore[assignment]

YAMLError = yaml.YAMLError


class _Loader(_Base):
    """The core schema of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own name

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Keys twice are an error: one of them would be lost."""
        seen: set[object] = set()
        for key, _ in node.value:
            if isinstance(key, ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise ConstructorError(None, None, f"duplicate key {key.value}", key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _plain_int(loader: _Loader, node: ScalarNode) -> int:
    text = str(node.value)
    return int(text, 0) if re.match(r"0[xo]", text) else int(text)


_CORE = (
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("merge", r"<<", "<"),
)
for _tag, _pattern, _first in _CORE:
    for _letter in _first:
        _rule = (f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"))
        _Loader.yaml_implicit_resolvers.setdefault("" if _letter == "\0" else _letter, []).append(_rule)
_Loader.add_constructor("tag:yaml.org,2002:int", _plain_int)


def load(text: str) -> Any:
    """The document's data; raises YAMLError, a MarkedYAMLError where a place is known."""
    return yaml.load(text, Loader=_Loader)


class Lines:
    """Where things stand in a document that can be loaded."""

    def __init__(self, text: str) -> None:
        self._root: Node | None = yaml.compose(text, Loader=_Loader)

    def of(self, *path: str | int) -> int | None:
        """The 1-based line of a key or list item, or of the nearest one above it; None without any."""
        node, line = self._root, None
        for part in path:
            if isinstance(node, MappingNode):
                found = next(((key, value) for key, value in node.value if str(key.value) == part), None)
            elif isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
                found = (node.value[part], node.value[part])
            else:
                found = None
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        return line
