"""One version for wheel, plugin, schema and resource options; a class per resource of the plugin."""

from __future__ import annotations

import tomllib
from pathlib import Path

import infra.resources
from infra.provider.handlers import HANDLERS
from infra.resources import PACKAGE, VERSION, options, token

ROOT = Path(__file__).resolve().parents[3]


def test_there_is_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (project["name"], project["version"]) == (PACKAGE, VERSION)
    assert options(None).version == VERSION


def test_every_resource_of_the_plugin_has_a_thin_class_with_its_outputs() -> None:
    for handler in HANDLERS:
        kind = getattr(infra.resources, handler.name)
        assert set(kind.OUTPUTS) == set(handler.outputs)
        assert token(kind.__name__) == f"inferform:index:{handler.name}"
