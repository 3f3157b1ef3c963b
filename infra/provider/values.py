"""Pulumi's values on the wire: protobuf structs <-> plain Python, Secret and UNKNOWN.

CRUD calls carry secrets and unknowns; Construct also carries output values, of which each of `value`, `secret` and
`dependencies` may be absent. A whole number is an int here: the wire knows only doubles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf import struct_pb2
from pulumi.runtime import rpc


class Unknown:
    """A value that a preview cannot know."""

    def __repr__(self) -> str:
        return "<unknown>"


UNKNOWN: Final = Unknown()
UNKNOWN_GUIDS = frozenset(
    {
        rpc.UNKNOWN,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # bool
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)
"""What an unknown of each kind looks like on the wire."""


@dataclass(frozen=True)
class Secret:
    """A value that must be given back as a secret and never be logged."""

    value: Any = field(repr=False)


def read_value(value: struct_pb2.Value) -> Any:
    """One value from the wire. Assets, archives and resource references stay dicts."""
    match value.WhichOneof("kind"):
        case "string_value":
            return UNKNOWN if value.string_value in UNKNOWN_GUIDS else value.string_value
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "bool_value":
            return value.bool_value
        case "list_value":
            return [read_value(each) for each in value.list_value.values]
        case "struct_value":
            return _marked(read_map(value.struct_value))
    return None


def read_map(struct: struct_pb2.Struct) -> dict[str, Any]:
    """An object from the wire."""
    return {key: read_value(value) for key, value in struct.fields.items()}


def _marked(data: dict[str, Any]) -> Any:
    kind = data.get(rpc._special_sig_key)
    if kind == rpc._special_secret_sig:
        return Secret(data.get("value"))
    if kind == rpc._special_output_value_sig:
        inner = data.get("value", UNKNOWN)
        return Secret(inner) if data.get("secret") else inner
    return data


def write_value(value: Any) -> struct_pb2.Value:
    """One value for the wire; TypeError for what it cannot carry."""
    match value:
        case None:
            return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
        case Unknown():
            return struct_pb2.Value(string_value=rpc.UNKNOWN)
        case Secret():
            marked = {rpc._special_sig_key: rpc._special_secret_sig, "value": value.value}
            return struct_pb2.Value(struct_value=write_map(marked))
        case bool():  # before int: a bool is one
            return struct_pb2.Value(bool_value=value)
        case int() | float():
            return struct_pb2.Value(number_value=value)
        case str():
            return struct_pb2.Value(string_value=value)
        case Mapping():
            return struct_pb2.Value(struct_value=write_map(value))
        case list() | tuple():
            return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[write_value(each) for each in value]))
    raise TypeError(f"{type(value).__name__} has no form on Pulumi's wire")


def write_map(data: Mapping[str, Any]) -> struct_pb2.Struct:
    """An object for the wire."""
    return struct_pb2.Struct(fields={key: write_value(value) for key, value in data.items()})


def plain(value: Any) -> Any:
    """The value without its secret wrappers: for comparing (a new mark is no change) and for API calls."""
    match value:
        case Secret():
            return plain(value.value)
        case Mapping():
            return {key: plain(each) for key, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
    return value


def has_unknown(value: Any) -> bool:
    """Is anything in it unknown?"""
    match value:
        case Unknown():
            return True
        case Secret():
            return has_unknown(value.value)
        case Mapping():
            return any(has_unknown(each) for each in value.values())
        case list() | tuple():
            return any(has_unknown(each) for each in value)
    return False
