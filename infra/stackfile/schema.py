"""The JSON Schema of a whole `Pulumi.<stack>.yaml`, for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic.json_schema import models_json_schema

from infra.stackfile.load import NAMESPACE
from infra.stackfile.resources import Quota, ResourceGroup
from infra.stackfile.services import NAME, SERVICE_NAME, Service
from infra.stackfile.targets import EksTarget, KubernetesTarget, LocalTarget
from infra.stackfile.versions import Version

FILE = Path(__file__).with_name("schema.json")
"""The committed copy; `inferform schema > infra/stackfile/schema.json` makes it anew."""


def json_schema() -> dict[str, Any]:
    """The schema, as plain data. Other namespaces of the config and Pulumi's own keys of the file are left free."""
    models = (LocalTarget, KubernetesTarget, EksTarget, ResourceGroup, Quota, Service, Version)
    _, schema = models_json_schema([(model, "validation") for model in models], ref_template="#/$defs/{model}")
    definitions = schema["$defs"]
    definitions["Service"] = _with_shorthand(definitions["Service"], definitions["Version"])
    definitions["Resources"] = {"anyOf": [{"const": "public"}, definitions["Resources"]]}
    for target in ("KubernetesTarget", "EksTarget"):
        definitions[target]["required"] = ["kind"]

    def each(model: str, pattern: str, text: str) -> dict[str, Any]:
        return {
            "type": "object",
            "description": text,
            "propertyNames": {"pattern": pattern},
            "additionalProperties": {"$ref": f"#/$defs/{model}"},
        }

    sections: dict[str, Any] = {
        "target": {
            "description": "Where the stack is realised.",
            "anyOf": [{"$ref": f"#/$defs/{model}"} for model in ("LocalTarget", "KubernetesTarget", "EksTarget")],
        },
        "offline": {"type": "boolean", "default": False, "description": "Nothing from outside `mirrors`."},
        "mirrors": {"type": "array", "items": {"type": "string"}, "default": []},
        "resourceGroups": each("ResourceGroup", NAME, "Pools of nodes by name."),
        "quotas": each("Quota", NAME, "Caps by name."),
        "services": each("Service", SERVICE_NAME, "Services by name."),
    }
    config = {
        "type": "object",
        "properties": {f"{NAMESPACE}:{name}": section for name, section in sections.items()},
        "patternProperties": {f"^(?!{NAMESPACE}:).+:": True},
        "additionalProperties": False,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Inferform stack file",
        "type": "object",
        "properties": {"config": config},
        "$defs": definitions,
    }


def _with_shorthand(service: dict[str, Any], version: dict[str, Any]) -> dict[str, Any]:
    """A service with `versions`, or with one version's keys on itself, or an EAS service.json with overrides."""
    eas = {"type": "string", "description": "An EAS service.json, relative to this file."}
    properties = {**service["properties"], **version["properties"], "eas": eas}
    return {**service, "properties": properties}


def schema_text() -> str:
    """The schema as JSON text, as `inferform schema` prints it."""
    return json.dumps(json_schema(), indent=2) + "\n"
