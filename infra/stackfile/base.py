"""What every object of a stack file shares: strict types, camelCase keys, no unknown keys."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]


class FileModel(BaseModel):
    """The base: strict types, camelCase keys, unknown keys refused, frozen, docstrings shown by editors."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        strict=True,
        protected_namespaces=(),
        use_attribute_docstrings=True,
    )


def one_of(model: FileModel, kind: str, *names: str, optional: bool = False) -> None:
    """Raise unless exactly one (optional: at most one) of the fields is set."""
    keys = {type(model).model_fields[name].alias or name: getattr(model, name) for name in names}
    given = [key for key, value in keys.items() if value not in (None, ())]
    if len(given) == 1 or (optional and not given):
        return
    said = f"has {' and '.join(given)}" if given else "has none"
    raise PydanticCustomError(
        "one_of",
        "takes {amount} of {keys}, this {kind} {said}",
        {"amount": "at most one" if optional else "one", "keys": ", ".join(keys), "kind": kind, "said": said},
    )
