"""A plan as plain JSON data: camelCase keys, bytes and seconds as numbers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from infra.plan.document import Plan
from runtime.contract.document import Document


def to_data(plan: Plan) -> dict[str, Any]:
    """The plan as JSON data, with `ok` (no errors) first."""
    return {"ok": not plan.errors, **_data(plan)}


def _data(value: Any) -> Any:
    if isinstance(value, Document):
        return value.to_data()
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    if is_dataclass(value) and not isinstance(value, type):
        return {to_camel(field.name): _data(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {key: _data(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_data(item) for item in value]
    return value
