"""Reading a `Pulumi.<stack>.yaml`: YAML to config, and errors with the lines that they are on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from infra.stackfile.errors import StackFileError, StackFileErrors
from infra.stackfile.load import NAMESPACE, Stack, load


def read_config(path: Path) -> dict[str, Any]:
    """The `config` mapping of a stack file.

    Raises StackFileErrors when the file is no YAML or has no such mapping, OSError when it cannot be read.
    """
    try:
        document = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError) as bad:
        raise StackFileErrors([_syntax(bad, path)], file=str(path)) from None
    config = (document or {}).get("config") if isinstance(document or {}, Mapping) else None
    if config is None and isinstance(document or {}, Mapping):
        return {}
    if not isinstance(config, Mapping):
        reason = "must be a mapping such as {config: {inferform:services: ...}}"
        raise StackFileErrors([StackFileError(path="config", reason=reason)], file=str(path))
    return dict(config)


def load_file(path: Path, *, built_only: bool = True) -> Stack:
    """Read and load a stack file; paths are relative to its folder. Raises as read_config and load do, with lines."""
    config = read_config(path)
    try:
        return load(config, folder=path.absolute().parent, built_only=built_only)
    except StackFileErrors as wrong:
        lines = _Lines(path)
        found = [replace(error, line=lines.of(error.path)) for error in wrong.errors]
        raise StackFileErrors(sorted(found, key=lambda error: error.line or 0), file=str(path)) from None


def _syntax(bad: Exception, path: Path) -> StackFileError:
    if isinstance(bad, MarkedYAMLError):
        line = bad.problem_mark.line + 1 if bad.problem_mark else None
        return StackFileError(
            path=path.name, reason=f"is not YAML: {(bad.problem or str(bad)).splitlines()[0]}", line=line
        )
    return StackFileError(path=path.name, reason=f"is not YAML: {str(bad).splitlines()[0]}")


class _Lines:
    """Finds the line of a path: of its key, or of the nearest key above it."""

    def __init__(self, path: Path) -> None:
        document = YAML(typ="rt").load(path.read_text(encoding="utf-8"))
        self._config = document["config"]

    def of(self, path: str) -> int | None:
        parts: list[str | int] = [
            int(number) if number else word for word, number in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path)
        ]
        node: Any = self._config
        line: int | None = None
        for depth, part in enumerate(parts):
            names = [part, f"{NAMESPACE}:{part}"] if depth == 0 else [part]
            if isinstance(node, Mapping):
                by_text = {str(key): key for key in node}
                key = next((by_text[str(name)] for name in names if str(name) in by_text), None)
                if key is None:
                    break
                line, node = _mark(node).key(key)[0] + 1, node[key]
            elif isinstance(node, list) and isinstance(part, int) and part < len(node):
                line, node = _mark(node).item(part)[0] + 1, node[part]
            else:
                break
        return line


def _mark(node: Any) -> Any:
    """Where the keys and items of one of ruamel's maps and lists stand."""
    return node.lc
