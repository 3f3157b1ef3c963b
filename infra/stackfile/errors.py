"""What is wrong with a stack file: each problem with its path, value, reason and the nearest valid thing."""

from __future__ import annotations

import difflib
import json
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

ABSENT: Any = type("Absent", (), {"__repr__": lambda _: "nothing"})()
"""The value of a key that is not there."""

Location = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StackFileError:
    """One problem. `nearest` says what would be valid, or is empty; `line` is 1-based, None when unknown."""

    path: str
    value: Any = ABSENT
    reason: str
    nearest: str = ""
    line: int | None = None

    def __str__(self) -> str:
        shown = "" if self.value is ABSENT else f" (it says {shorten(self.value)})"
        hint = f"; {self.nearest}" if self.nearest else ""
        return f"{self.path}: {self.reason}{shown}{hint}"


class StackFileErrors(ValueError):
    """All problems of one stack file at once."""

    def __init__(self, errors: Sequence[StackFileError], *, file: str = "") -> None:
        self.errors = tuple(errors)
        self.file = file
        super().__init__(
            f"{file or 'the stack file'} has {counted(len(self.errors), 'error')}:\n" + "\n".join(map(str, self.errors))
        )


def counted(number: int, noun: str) -> str:
    """`1 error`, `2 errors`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def shorten(value: Any, limit: int = 80) -> str:
    """A value as JSON, cut to `limit` characters."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def dotted(location: Iterable[str | int]) -> str:
    """`("services", "chat", "storage", 0)` becomes `services.chat.storage[0]`."""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def nearest(value: object, choices: Iterable[str], *, always: bool = False) -> str:
    """`did you mean ...` with the choice nearest to what was written; with `always`, else all choices."""
    known = list(dict.fromkeys(choices))
    found = difflib.get_close_matches(str(value).lower(), [choice.lower() for choice in known], n=1, cutoff=0.6)
    if found:
        return f"did you mean {next(choice for choice in known if choice.lower() == found[0])}?"
    if always and known:
        return f"{'known: ' if len(known) > 1 else 'only '}{', '.join(sorted(known))}"
    return ""


def value_at(data: Any, location: Location) -> Any:
    """What stands at a location, or ABSENT."""
    for part in location:
        in_mapping = isinstance(data, Mapping) and part in data
        in_list = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if not (in_mapping or in_list):
            return ABSENT
        data = data[part]
    return data


def keys_at(annotation: Any, location: Location) -> list[str]:
    """The keys that a model (or a model inside it, by location) knows; a service's own shorthand keys too."""
    for part in location:
        annotation = _step(annotation, part)
    models = [model for model in _alternatives(annotation) if isinstance(model, type) and issubclass(model, BaseModel)]
    keys = [field.alias or name for model in models for name, field in model.model_fields.items()]
    return keys + [key for model in models for key in getattr(model, "SHORTHAND", ())]


def _alternatives(annotation: Any) -> list[Any]:
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _alternatives(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return [inner for each in typing.get_args(annotation) for inner in _alternatives(each)]
    return [annotation]


def _step(annotation: Any, part: str | int) -> Any:
    for each in _alternatives(annotation):
        origin = typing.get_origin(each)
        if origin is dict:
            return typing.get_args(each)[1]
        if origin in (tuple, list):
            return typing.get_args(each)[0]
        if isinstance(each, type) and issubclass(each, BaseModel):
            for name, field in each.model_fields.items():
                if (field.alias or name) == part:
                    return field.annotation
    return Any


def choices_at(annotation: Any, location: Location) -> list[str]:
    """The words that a Literal or Enum field takes."""
    for part in location:
        annotation = _step(annotation, part)
    words: list[str] = []
    for each in _alternatives(annotation):
        if typing.get_origin(each) is typing.Literal:
            words += [str(word) for word in typing.get_args(each)]
        elif isinstance(each, type) and issubclass(each, Enum):
            words += [str(member.value) for member in each]
    return words


_TYPES = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "dict_type": "must be a mapping of keys to values",
    "model_type": "must be a mapping of keys to values",
    "model_attributes_type": "must be a mapping of keys to values",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "finite_number": "must be a finite number",
}


def translate(details: ErrorDetails, *, data: Any, model: Any, prefix: Location) -> StackFileError:
    """One error of pydantic in our words. `data` and `model` are what was validated, `prefix` is where it stands."""
    inside: Location = tuple(details["loc"])
    kind, context = details["type"], details.get("ctx") or {}
    path = dotted((*prefix, *inside))
    value = value_at(data, inside)
    if kind == "extra_forbidden":
        key = str(inside[-1])
        reason = "is not a key here"
        return StackFileError(path=path, reason=reason, nearest=nearest(key, keys_at(model, inside[:-1]), always=True))
    if kind == "missing":
        return StackFileError(path=path, reason="is missing")
    if kind in ("literal_error", "enum"):
        words = choices_at(model, inside)
        return StackFileError(
            path=path, value=value, reason=f"must be one of {', '.join(words)}", nearest=nearest(value, words)
        )
    if kind in _TYPES:
        hint = ""
        if kind == "string_type" and isinstance(value, int | float):
            hint = f"quote it: {json.dumps(json.dumps(value))}"
        elif isinstance(value, str) and (plain := _unquoted(kind, value)) is not None:
            hint = f"without quotes: {plain}"
        return StackFileError(path=path, value=value, reason=_TYPES[kind], nearest=hint)
    limits = {"greater_than_equal": "ge", "greater_than": "gt", "less_than_equal": "le", "less_than": "lt"}
    if kind in limits:
        bound = context[limits[kind]]
        bound = int(bound) if float(bound).is_integer() else bound
        words_of = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
        hint = f"the nearest is {bound}" if kind.endswith("equal") else ""
        return StackFileError(path=path, value=value, reason=f"must be {words_of[limits[kind]]} {bound}", nearest=hint)
    if kind == "string_too_short":
        return StackFileError(path=path, value=value, reason="is empty")
    if kind == "too_short":
        return StackFileError(path=path, value=value, reason="must have at least one entry")
    if kind == "string_pattern_mismatch":
        return StackFileError(
            path=path,
            value=value,
            reason=f"must match {context['pattern']}",
            nearest=_slashed(value, context["pattern"]),
        )
    return StackFileError(path=path, value=value, reason=details["msg"], nearest=str(context.get("nearest", "")))


def _slashed(value: Any, pattern: str) -> str:
    return f"did you mean /{value}?" if pattern.startswith("^/") and isinstance(value, str) and value else ""


def _unquoted(kind: str, value: str) -> str | None:
    try:
        plain = json.loads(value.lower())
    except json.JSONDecodeError:
        return None
    wanted: dict[str, tuple[type, ...]] = {"int_type": (int,), "float_type": (int, float), "bool_type": (bool,)}
    return value.lower() if type(plain) in wanted.get(kind, ()) else None
