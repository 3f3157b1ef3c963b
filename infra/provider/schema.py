"""The Pulumi package schema, derived from the documents themselves: handler inputs and stack-file models."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from infra.provider.functions import FUNCTIONS
from infra.provider.handlers import HANDLERS, Handler
from infra.resources import PACKAGE, VERSION, token
from infra.stackfile import KubernetesTarget, LocalTarget, Quota, ResourceGroup, Service
from infra.stackfile.targets import ClusterGateway, LocalGateway

Spec = dict[str, Any]
STACK = "Stack"


class Types:
    """The object types that are met while models are translated; each becomes an entry of the schema's `types`."""

    def __init__(self) -> None:
        self.specs: dict[str, Spec] = {}
        self._models: dict[str, type[BaseModel]] = {}

    def reference(self, model: type[BaseModel]) -> Spec:
        """A reference to a model's type. Those of the stack file begin with Stack: the wire has Limits too."""
        name = f"{STACK}{model.__name__}" if model.__module__.startswith("infra.stackfile") else model.__name__
        if self._models.setdefault(name, model) is not model:
            raise TypeError(f"two models want the type {name}: {model} and {self._models[name]}")
        key = token(name)
        if key not in self.specs:
            self.specs[key] = {}  # first, for models that hold themselves
            self.specs[key] = {"type": "object", **object_spec(model, self), "description": first_line(model)}
        return {"$ref": f"#/types/{key}"}

    def of(self, kind: Any) -> Spec:
        """The schema of a Python type; TypeError for one that no Pulumi type can say."""
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is typing.Annotated:
            return self.of(arguments[0])
        if origin in (typing.Union, types.UnionType):
            [only] = [argument for argument in arguments if argument is not type(None)]
            return self.of(only)
        if origin is typing.Literal:
            return {"type": "string"}
        if origin in (tuple, list):
            return {"type": "array", "items": self.of(arguments[0])}
        if origin in (dict, Mapping):
            return {"type": "object", "additionalProperties": self.of(arguments[1])}
        if kind is Any:
            return {"$ref": "pulumi.json#/Any"}
        for python, name in ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string")):
            if kind is python:
                return {"type": name}
        if isinstance(kind, type) and issubclass(kind, Enum):
            return {"type": "string"}
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return self.reference(kind)
        raise TypeError(f"{kind} has no form in a Pulumi schema")


def object_spec(model: type[BaseModel], types: Types) -> Spec:
    """`properties` and `required` of a model."""
    fields = {_key(name, field): field for name, field in model.model_fields.items() if not field.exclude}
    properties = {key: property_spec(field, types) for key, field in fields.items()}
    required = [key for key, field in fields.items() if field.is_required()]
    return {"properties": properties, "required": sorted(required)} if required else {"properties": properties}


def property_spec(field: FieldInfo, types: Types) -> Spec:
    """One property, with its description."""
    text = field.description or ""
    choices = _choices(field.annotation)
    if choices:
        text = f"{text} One of {', '.join(choices)}.".strip()
    default = field.default
    if default is not PydanticUndefined and isinstance(default, str | int | float) and not isinstance(default, Enum):
        text = f"{text} Default: {default if not isinstance(default, bool) else str(default).lower()}.".strip()
    return {**types.of(field.annotation), **({"description": text} if text else {})}


def first_line(thing: Any) -> str:
    """The first paragraph of a docstring."""
    return " ".join((thing.__doc__ or "").strip().split("\n\n")[0].split())


def _key(name: str, field: FieldInfo) -> str:
    return field.alias or name


def _choices(kind: Any) -> list[str]:
    if get_origin(kind) is typing.Literal:
        return [str(argument) for argument in get_args(kind)]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [str(member.value) for member in kind]
    return []


def resource_spec(handler: type[Handler[Any]], types: Types) -> Spec:
    """The schema of a custom resource."""
    declared = object_spec(handler.inputs, types)
    inputs: dict[str, Spec] = declared["properties"]
    for key, spec in inputs.items():
        if key in handler.secrets:
            spec["secret"] = True
        if key in handler.replace_on:
            spec["willReplaceOnChanges"] = True
    repeated = {key: dict(spec) for key, spec in inputs.items() if key not in handler.not_repeated}
    outputs = {**repeated, **handler.outputs}
    return {
        "description": handler.description,
        "inputProperties": inputs,
        "requiredInputs": declared.get("required", []),
        "properties": outputs,
        "required": sorted(outputs),
    }


def _component(description: str, inputs: dict[str, Spec], required: list[str], outputs: dict[str, Spec]) -> Spec:
    return {
        "isComponent": True,
        "description": description,
        "inputProperties": inputs,
        "requiredInputs": required,
        "properties": outputs,
        "required": sorted(outputs),
    }


def _plain(properties: dict[str, Spec]) -> dict[str, Spec]:
    """Plan and hash need plain values: no outputs of other resources."""
    return {key: {**spec, "plain": True} for key, spec in properties.items()}


def components(types: Types) -> dict[str, Spec]:
    """The schemas of the components that this plugin hosts (Construct)."""
    text = {"type": "string"}
    address: dict[str, Spec] = {
        "state": {**text, "description": "Where the stack lives: `state` of the Gateway."},
        "endpoint": {**text, "description": "http://HOST:PORT: `endpoint` of the Gateway."},
    }
    secret = {**text, "secret": True}
    service: dict[str, Spec] = {
        "endpoint": {**text, "description": "The service's URL."},
        "token": {**secret, "description": "What clients send in the Authorization header."},
        "hashes": {"type": "object", "additionalProperties": text, "description": "Hash by version name."},
        "plan": {"type": "object", "additionalProperties": {"$ref": "pulumi.json#/Any"}, "description": "In short."},
    }
    of_stack = {"versions" if key == "hashes" else key: spec for key, spec in service.items()}
    types.specs[token("ServiceOutputs")] = {
        "type": "object", "properties": of_stack, "required": sorted(of_stack), "description": "One service.",
    }  # fmt: skip
    service_inputs = _plain(service_properties(types))
    target = target_spec(types)
    cluster_keys = types.specs[token("StackTarget")]["properties"]
    folder = {**text, "description": "The host's folder; .inferform/STACK beside Pulumi.yaml when absent."}
    sections: dict[str, Spec] = {
        "target": target,
        "offline": {"type": "boolean", "description": "Nothing from outside `mirrors`."},
        "mirrors": {"type": "array", "items": text},
        "resourceGroups": {"type": "object", "additionalProperties": types.reference(ResourceGroup)},
        "quotas": {"type": "object", "additionalProperties": types.reference(Quota)},
        "services": {"type": "object", "additionalProperties": types.reference(StackService)},
    }
    outputs: dict[str, Spec] = {
        "services": {"type": "object", "additionalProperties": {"$ref": f"#/types/{token('ServiceOutputs')}"}}
    }
    pools = (("ResourceGroup", ResourceGroup), ("ResourceQuota", Quota))
    return {
        token("Stack"): _component("Everything that a stack file declares.", _plain(sections), ["services"], outputs),
        token("Gateway"): _component(
            "The one door to all services; on target local it brings the host. On a cluster it takes a target's keys.",
            _plain({**cluster_keys, **object_spec(LocalGateway, types)["properties"], "state": folder}), [],
            {"state": address["state"], "endpoint": address["endpoint"]},
        ),
        token("ModelService"): _component(
            "One service; its name is the service's.",
            {**service_inputs, **_plain({"target": target}), **address}, ["endpoint", "state"], service,
        ),
        **{token(name): _pool(name, model, types) for name, model in pools},
    }  # fmt: skip


def target_spec(types: Types) -> Spec:
    """`target`: one type with the keys of every kind, for a Pulumi type is no union of objects."""
    text = {"type": "string"}
    gateway = {**object_spec(LocalGateway, types)["properties"], **object_spec(ClusterGateway, types)["properties"]}
    types.specs[token("StackTargetGateway")] = {
        "type": "object", "properties": gateway, "description": "How requests arrive, by kind of target.",
    }  # fmt: skip
    both = {**object_spec(LocalTarget, types)["properties"], **object_spec(KubernetesTarget, types)["properties"]}
    both["kind"] = {**text, "description": "One of local, kubernetes. Default: local."}
    for each in (LocalGateway, ClusterGateway):
        types.specs.pop(token(f"{STACK}{each.__name__}"))
    both["gateway"] = {"$ref": f"#/types/{token('StackTargetGateway')}"}
    types.specs[token("StackTarget")] = {
        "type": "object", "properties": both, "description": "Where a stack is realised.",
    }  # fmt: skip
    return {"$ref": f"#/types/{token('StackTarget')}", "description": "Where it runs; this machine when absent."}


class StackService(Service):
    """One service: the keys of a service in the stack file; those of its single version may stand on it."""


def service_properties(types: Types) -> dict[str, Spec]:
    """The keys of a service, with those of a single version, as the stack file takes them."""
    from infra.stackfile import Version

    both = {**object_spec(Version, types)["properties"], **object_spec(Service, types)["properties"]}
    return dict(sorted(both.items()))


def _pool(name: str, model: type[BaseModel], types: Types) -> Spec:
    declared = object_spec(model, types)
    return _component(f"{first_line(model)}", _plain(declared["properties"]), declared.get("required", []), {})


def package() -> Spec:
    """The whole package schema."""
    types = Types()
    resources = {token(handler.name): resource_spec(handler, types) for handler in HANDLERS}
    resources |= components(types)
    types.specs[token(StackService.__name__)]["properties"] = service_properties(types)
    return {
        "name": PACKAGE,
        "version": VERSION,
        "displayName": "Inferform",
        "description": "Model serving as an infrastructure diff: EAS-like services, resource groups and quotas.",
        "license": "Apache-2.0",
        "keywords": ["pulumi", "llm", "inference", "kind/component"],
        "config": {"variables": {}},
        "provider": {
            "description": "Talks to the local target's host, or to the cluster of a stack.",
            "inputProperties": {},
        },
        "resources": resources,
        "types": types.specs,
        "functions": {name: function.spec() for name, function in FUNCTIONS.items()},
        "language": {
            "python": {
                "respectSchemaVersion": True,
                "pyproject": {"enabled": True},
                "readme": "The SDK of Inferform's Pulumi plugin: model serving as an infrastructure diff.",
                "requires": {"pulumi": ">=3.272.0,<4.0.0"},
            },
            "nodejs": {"respectSchemaVersion": True},
            "go": {"respectSchemaVersion": True},
            "csharp": {"respectSchemaVersion": True},
        },
    }
