"""A service that begins with an EAS service.json: `legacy: {eas: ./service.json}`; keys beside it override it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra import yaml12
from infra.stackfile.eas import Outcome, import_service
from infra.stackfile.errors import Location, StackFileError, StackFileErrors, dotted, nearest
from infra.stackfile.validate import Problems

KEY = "eas"


class Unreadable(ValueError):
    """A file that holds no service description; `hint` names the nearest file."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.hint = hint


def hub_names() -> dict[str, str]:
    """A hub's `org/name` to the id of the catalog's model. Imported late: only imports need the catalog."""
    from catalog import load

    models = load().models.values()
    return {name: model.id for model in models for name in (model.modelscope, model.huggingface) if name}


def read_description(file: Path) -> dict[str, Any]:
    """A service.json, or the same in YAML; raises Unreadable."""
    try:
        text = file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        siblings = [each.name for each in file.parent.glob("*.json")] if file.parent.is_dir() else []
        raise Unreadable(f"there is no file {file}", nearest(file.name, siblings)) from None
    except (OSError, UnicodeDecodeError) as bad:
        raise Unreadable(f"{file} cannot be read: {bad}") from None
    try:
        data = json.loads(text) if file.suffix == ".json" else yaml12.load(text)
    except json.JSONDecodeError as bad:
        raise Unreadable(f"{file} is not JSON: {bad}") from None
    except yaml12.YAMLError as bad:
        raise Unreadable(f"{file} is not YAML: {str(bad).splitlines()[0]}") from None
    if not isinstance(data, dict):
        raise Unreadable(f"{file} holds no object")
    return data


def expand(value: Any, path: Location, folder: Path, errors: Problems, warnings: list[StackFileError]) -> Any:
    """A service with what its service.json says; one without the key as it is."""
    if not isinstance(value, Mapping) or KEY not in value:
        return value
    at, name = dotted((*path, KEY)), str(path[-1])
    own = {key: each for key, each in value.items() if key != KEY}
    file = value[KEY]
    if not isinstance(file, str):
        errors.report(StackFileError(path=at, value=file, reason="must be the path of a service.json"))
        errors.hide(dotted(path))
        return own
    try:
        imported = import_service(read_description(folder / Path(file).expanduser()), name=name, hub=hub_names())
    except Unreadable as bad:
        errors.report(StackFileError(path=at, value=file, reason=str(bad), nearest=bad.hint))
        errors.hide(dotted(path))
        return own
    except StackFileErrors as refused:
        for error in refused.errors:
            reason = f"{file}: {error.path}: {error.reason}"
            errors.report(StackFileError(path=at, value=error.value, reason=reason, nearest=error.nearest))
        errors.hide(dotted(path))
        return own
    if imported.name != name:
        here, there = f"/api/predict/{name}", f"/api/predict/{imported.name}"
        reason = f"{file} names the service {imported.name}: its URL here is {here}, not {there} as on EAS"
        warnings.append(StackFileError(path=at, value=imported.name, reason=reason))
    told = [item for item in imported.report if item.outcome in (Outcome.WARNING, Outcome.SECRET)]
    warnings += [StackFileError(path=at, reason=f"{file}: {item.path}: {item.text}") for item in told]
    if kept := [item.path for item in imported.report if item.outcome is Outcome.KEPT]:
        reason = f"{file} has {len(kept)} fields without a meaning here: {', '.join(kept)}"
        warnings.append(StackFileError(path=at, reason=reason, nearest=f"`inferform import-eas {file}` explains each"))
    return merged(imported.service, own)


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with what `over` says, key by key inside objects; `resources` as a whole, a kind of it excludes others."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping) and key != "resources"
        result[key] = merged(result[key], value) if both else value
    return result
