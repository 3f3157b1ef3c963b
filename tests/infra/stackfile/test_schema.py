"""The JSON Schema that editors read."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from infra.stackfile.schema import FILE, json_schema, schema_text

MODEL = "SmolLM2-135M-Instruct"


def valid(services: dict[str, Any], **config: Any) -> bool:
    document = {"encryptionsalt": "x", "config": {"inferform:services": services, **config}}
    return jsonschema.Draft202012Validator(json_schema()).is_valid(document)


def test_the_committed_schema_is_fresh() -> None:
    assert FILE.read_text() == schema_text(), "run: inferform schema > infra/stackfile/schema.json"


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize(
    "service",
    [
        {"model": MODEL, "replicas": {"min": 1, "max": 2}},
        {"versions": {"v1": {"model": MODEL}}, "traffic": {"v1": 100}, "resources": "public"},
        {"model": MODEL, "resources": {"quota": "nlp", "gpus": 1, "memoryGiB": 4}, "limits": {"bodyMiB": 3}},
        {"eas": "./service.json"},
    ],
)
def test_what_the_loader_takes_the_schema_takes(service: dict[str, Any]) -> None:
    assert valid({"chat": service}, **{"aws:region": "eu-west-1", "inferform:target": {"kind": "local"}})


@pytest.mark.parametrize(
    "service", [{"modle": MODEL}, {"model": 3}, {"model": MODEL, "resources": "pubic"}, {"versions": {"V1": {}}}]
)
def test_what_the_loader_refuses_an_editor_marks(service: dict[str, Any]) -> None:
    assert not valid({"chat": service})


def test_an_editor_marks_bad_names_and_sections() -> None:
    assert not valid({"Chat-1": {"model": MODEL}})
    assert not valid({}, **{"inferform:servces": {}})
    assert not valid({}, **{"inferform:target": {"kind": "locla"}})
