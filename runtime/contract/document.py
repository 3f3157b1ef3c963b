"""The base of every document that crosses a process boundary: strict, frozen, camelCase on the wire."""

from __future__ import annotations

import json
from typing import Any, Self

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Document(BaseModel):
    """A wire document. Unknown keys are errors; Python names are snake_case, JSON keys camelCase."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, protected_namespaces=()
    )

    def to_json(self) -> str:
        """The document as compact JSON."""
        return self.model_dump_json(by_alias=True)

    def to_data(self) -> dict[str, Any]:
        """The document as plain JSON data (str, int, float, bool, None, list, dict)."""
        return self.model_dump(mode="json", by_alias=True)

    def canonical(self) -> str:
        """JSON with sorted keys: equal documents give equal text, whatever the order of their keys."""
        return json.dumps(self.to_data(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Parse JSON text; raises pydantic.ValidationError."""
        return cls.model_validate_json(text)
