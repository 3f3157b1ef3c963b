"""What travels to and from the API: queries, objects and errors as plain data."""

from __future__ import annotations

from typing import Any

import orjson

from runtime.kubeapi.resources import Resource

Object = dict[str, Any]


def selectors(labels: str = "", fields: str = "") -> dict[str, str]:
    """The query of label and field selectors."""
    return {key: value for key, value in (("labelSelector", labels), ("fieldSelector", fields)) if value}


def typed(resource: Resource, body: Object) -> Object:
    """An object with its kind, as a write needs it."""
    return {"apiVersion": resource.api, "kind": resource.kind, **body}


def document(text: bytes) -> Object:
    """A JSON object; anything else reads as an empty one."""
    try:
        data = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return data if isinstance(data, dict) else {}


def error_document(text: bytes) -> Object:
    """The Status of an error answer; a proxy's words become its message."""
    return document(text) or {"message": text[:500].decode(errors="replace").strip()}
