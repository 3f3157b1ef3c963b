"""One object of a stack file, validated as far as it goes; what is wrong with it is collected, not raised."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import ValidationError

from infra.stackfile.base import FileModel
from infra.stackfile.errors import ABSENT, Location, StackFileError, translate, value_at

Model = TypeVar("Model", bound=FileModel)


class Problems:
    """Errors as they are found. What is known to be broken is not complained about again, above it or below it."""

    def __init__(self) -> None:
        self.errors: list[StackFileError] = []
        self._broken: list[str] = []

    def report(self, *errors: StackFileError) -> None:
        """Add errors that take nothing away from the file: bad names, unknown keys, keys not built yet."""
        self.errors.extend(error for error in errors if error not in self.errors)

    def broken(self, *errors: StackFileError) -> None:
        """Add errors and remember that their paths hold nothing sound."""
        for error in errors:
            if not self.explains(error):
                self.errors.append(error)
        self._broken.extend(error.path for error in errors)

    def hide(self, path: str) -> None:
        """Say no more of a place whose errors are reported already."""
        self._broken.append(path)

    def checked(self, errors: Iterable[StackFileError]) -> None:
        """Add what a check across fields found, but for what stands in, above or below a broken place."""
        self.report(*(error for error in errors if not self.explains(error)))

    def explains(self, error: StackFileError) -> bool:
        """Is this error about a place that is known to be broken?"""
        return any(
            long == short or long.startswith((f"{short}.", f"{short}["))
            for path in self._broken
            for long, short in ((error.path, path), (path, error.path))
        )


def validate(model: type[Model], value: Any, path: Location, errors: Problems) -> tuple[Model | None, Model | None]:
    """Validate one object. The first answer is it, or None when it has errors.

    The second is what is left of it without its broken fields, so that checks across fields can look at the sound ones.
    """
    data = {} if value is None else value
    broken = False
    while True:
        try:
            sound = model.model_validate_json(json.dumps(data))
        except ValidationError as invalid:
            problems = invalid.errors()
            found = [(each["type"], translate(each, data=data, model=model, prefix=path)) for each in problems]
            unknown = [error for kind, error in found if kind == "extra_forbidden"]
            errors.report(*unknown)
            errors.broken(*(error for kind, error in found if kind != "extra_forbidden"))
            slimmer, broken = data, True
            for each in problems:
                slimmer = _without(slimmer, tuple(each["loc"]))
            if slimmer == data or not isinstance(slimmer, dict):
                return None, None
            data = slimmer
        else:
            return (None if broken else sound), sound


def _without(data: Any, location: Location) -> Any:
    """`data` without what stands at `location`, or, for a missing key, without the object that misses it."""
    if not location:
        return None
    while location and value_at(data, location) is ABSENT:
        location = location[:-1]
    if not location:
        return data
    head, tail = location[0], location[1:]
    if isinstance(data, dict):
        if head == "versions" and len(tail) == 1:
            return {**data, head: {**data[head], tail[0]: {}}}  # the name stays: traffic may speak of it
        if tail:
            return {**data, head: _without(data[head], tail)}
        return {key: each for key, each in data.items() if key != head}
    if tail:
        return [_without(each, tail) if index == head else each for index, each in enumerate(data)]
    return [each for index, each in enumerate(data) if index != head]
