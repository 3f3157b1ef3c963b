"""Changing one key of a stack file and not one other byte: the parser says where, the text is edited there."""

from __future__ import annotations

import difflib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from infra.cli.failure import Failure

SERVICES = "inferform:services"


def set_stopped(text: str, service: str, stopped: bool) -> str:
    """The stack file with `stopped` of a service set. Pure; raises Failure.

    1. A `stopped` that is there gets the new word.
    2. In `{...}` it is put in front of the other keys, else on a line of its own above them.
    """
    document = _parsed(text)
    services = _mapping(_mapping(document, "config"), SERVICES)
    if service not in services:
        near = difflib.get_close_matches(service, list(services), n=1)
        hint = f"did you mean {near[0]}?" if near else f"it declares: {', '.join(services)}"
        raise Failure(f"the stack file declares no service {service}", hint)
    keys = services[service]
    if not isinstance(keys, Mapping) or not keys:
        raise Failure(f"services.{service} has no keys", "`inferform plan` shows what is wrong with the file")
    if bool(keys.get("stopped", False)) == stopped:
        return text
    edited = _edited(text, keys, "true" if stopped else "false")
    # Aliases, merge keys and the like: rather no edit than another one than the user meant.
    _mapping(services, service)["stopped"] = stopped
    if not _means(edited, document):
        line = services.lc.key(service)[0] + 1
        wanted = f"stopped: {str(stopped).lower()}"
        raise Failure(f"services.{service} cannot be edited as it is written", f"set `{wanted}` below line {line}")
    return edited


def _means(text: str, document: Any) -> bool:
    try:
        return bool(YAML(typ="rt").load(text) == document)
    except YAMLError:
        return False


def _edited(text: str, keys: Any, word: str) -> str:
    lines = text.splitlines(keepends=True)
    if "stopped" in keys:
        line, column = keys.lc.value("stopped")
        old = "true" if lines[line][column:].lower().startswith("true") else "false"
        lines[line] = lines[line][:column] + word + lines[line][column + len(old) :]
    elif keys.fa.flow_style():
        line, column = keys.lc.line, keys.lc.col
        lines[line] = f"{lines[line][: column + 1]}stopped: {word}, {lines[line][column + 1 :]}"
    else:
        line, column = min(keys.lc.key(key) for key in keys)
        lines.insert(line, f"{' ' * column}stopped: {word}\n")
    return "".join(lines)


def _parsed(text: str) -> Any:
    try:
        return YAML(typ="rt").load(text)
    except YAMLError as bad:
        raise Failure(f"the stack file is not YAML: {str(bad).splitlines()[0]}") from bad


def _mapping(document: Any, key: str) -> Any:
    inner = document.get(key) if isinstance(document, Mapping) else None
    if not isinstance(inner, Mapping):
        raise Failure(f"the stack file has no mapping `{key}`", "`inferform plan` shows what is wrong with the file")
    return inner


def replace_file(file: Path, text: str) -> None:
    """Write beside and rename: whoever reads the file at this moment sees the old or the new one."""
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(text)
    os.chmod(name, file.stat().st_mode)
    os.replace(name, file)
