"""Reading a `Pulumi.<stack>.yaml`: YAML to config, and errors with the lines that they are on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from infra import yaml12
from infra.stackfile.errors import StackFileError, StackFileErrors
from infra.stackfile.load import NAMESPACE, Stack, load


def read_config(path: Path) -> dict[str, Any]:
    """The `config` mapping of a stack file.

    Raises StackFileErrors when the file is no YAML or has no such mapping, OSError when it cannot be read.
    """
    try:
        document = yaml12.load(path.read_text(encoding="utf-8")) or {}
    except (yaml12.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as bad:
        raise StackFileErrors([_syntax(bad, path)], file=str(path)) from None
    config = document.get("config") if isinstance(document, Mapping) else document
    if not isinstance(document, Mapping) or not isinstance(config, Mapping | None):
        reason = "must be a mapping such as {config: {inferform:services: ...}}"
        raise StackFileErrors([StackFileError(path="config", reason=reason)], file=str(path))
    return dict(config or {})


def load_file(path: Path, *, built_only: bool = True) -> Stack:
    """Read and load a stack file; paths are relative to its folder. Raises as read_config and load do, with lines."""
    config = read_config(path)
    try:
        return load(config, folder=path.absolute().parent, built_only=built_only)
    except StackFileErrors as wrong:
        lines = yaml12.Lines(path.read_text(encoding="utf-8"))
        found = [replace(error, line=_line(lines, error.path)) for error in wrong.errors]
        raise StackFileErrors(sorted(found, key=lambda error: error.line or 0), file=str(path)) from None


def _line(lines: yaml12.Lines, path: str) -> int | None:
    """The line of an error's path, which begins with a section, with or without our namespace."""
    parts = [int(number) if number else word for word, number in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path)]
    section, *rest = parts
    for first in (f"{NAMESPACE}:{section}", section):
        if lines.of("config", first) not in (None, lines.of("config")):
            return lines.of("config", first, *rest)
    return lines.of("config", f"{NAMESPACE}:{section}", *rest)


def _syntax(bad: Exception, path: Path) -> StackFileError:
    mark = getattr(bad, "problem_mark", None)
    problem = getattr(bad, "problem", None) or str(bad)
    line = mark.line + 1 if mark else None
    return StackFileError(path=path.name, reason=f"is not YAML: {str(problem).splitlines()[0]}", line=line)
