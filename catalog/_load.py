"""From the YAML files beside this module, and files of the user's own, to one Catalog."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from catalog._documents import Catalog, Engine, ExchangeRate, Fact, Gpu, InstanceType, Model, Speed

try:
    from yaml import CSafeLoader as _Loader  # several times faster, and the catalog is read at every start
except ImportError:  # pragma: no cover - PyYAML without libyaml
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]

FOLDER = Path(__file__).parent
SECTIONS: Mapping[str, type[Fact]] = {
    "models": Model,
    "gpus": Gpu,
    "instances": InstanceType,
    "engines": Engine,
    "rates": ExchangeRate,
    "speeds": Speed,
}
OWN_FILE = "inferform.catalog.yaml"
"""A project's own facts and prices, beside Pulumi.yaml and committed: the same file gives the same plan everywhere."""
NAMES = {"rates": "currency"}
"""Sections whose key is not called `id`."""
WIDTH = {"float32": 4, "bfloat16": 2, "float16": 2, "fp8": 1}

Document = TypeVar("Document", bound=Fact)


class CatalogError(ValueError):
    """A catalog file that cannot be read; the text names the file, the entry and the field."""


def load(extra: Iterable[Path] = ()) -> Catalog:
    """The catalog that ships, with the entries of `extra` files added. An id that ships takes the keys that they give.

    Raises CatalogError that names file, entry and field.
    """
    sections: dict[str, dict[str, Any]] = {name: dict(entries) for name, entries in _shipped().items()}
    for path in extra:
        for name, entries in _read(path, sections).items():
            sections[name].update(entries)
    return Catalog(**sections)


def load_for(folder: Path) -> Catalog:
    """The catalog for a project: what ships, and the project's own `inferform.catalog.yaml` where there is one."""
    own = folder / OWN_FILE
    return load([own] if own.is_file() else [])


@cache
def _shipped() -> Mapping[str, Mapping[str, Fact]]:
    sections: dict[str, dict[str, Fact]] = {name: {} for name in SECTIONS}
    for path in sorted(FOLDER.rglob("*.yaml")):
        for name, entries in _read(path).items():
            if twice := sections[name].keys() & entries.keys():
                raise CatalogError(f"{path.name}: {name}.{min(twice)} stands in another file too")
            sections[name].update(entries)
    return sections


def _read(path: Path, known: Mapping[str, Mapping[str, Fact]] | None = None) -> dict[str, dict[str, Fact]]:
    """One file: `defaults` apply to every entry below; sections map an id to its facts."""
    try:
        data = yaml.load(path.read_bytes(), Loader=_Loader)
    except (OSError, yaml.YAMLError) as problem:
        raise CatalogError(f"{path}: {problem}") from problem
    data = {} if data is None else data
    if not isinstance(data, dict):
        raise CatalogError(f"{path}: a mapping of sections is wanted ({', '.join(SECTIONS)})")
    defaults = data.pop("defaults", {})
    if unknown := data.keys() - SECTIONS.keys():
        raise CatalogError(f"{path}: {min(unknown)} is not a section; known: {', '.join(SECTIONS)}")
    facts: dict[str, dict[str, Fact]] = {}
    for name, entries in data.items():
        facts[name] = {}
        for key, entry in entries.items():
            shipped = known[name].get(key) if known else None
            base = shipped.model_dump(mode="json", by_alias=True, exclude_defaults=True) if shipped else {}
            facts[name][key] = _entry(path, name, key, {**base, **defaults, **entry})
    return facts


def _entry(path: Path, section: str, key: str, data: dict[str, Any]) -> Fact:
    data = {NAMES.get(section, "id"): key, **data}
    if section == "models" and "weightBytes" not in data and "parameters" in data:
        # Safetensors hold every parameter in the config's dtype unless the entry says otherwise; headers are noise.
        data["weightBytes"] = data["parameters"] * WIDTH[data.get("config", {}).get("dtype", "bfloat16")]
    if section == "instances":
        # A price has its own source: of the file's `defaults.price`, else the entry's.
        facts = {name: data[name] for name in ("verified", "source", "date") if name in data} | data.pop("price", {})
        data["prices"] = [{**facts, **price} for price in data.get("prices", ())]
    try:
        return SECTIONS[section].model_validate(data)
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(str(part) for part in (section, key, *first["loc"]))
        raise CatalogError(f"{path}: {where}: {first['msg']}") from problem
