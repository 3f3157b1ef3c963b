"""What a component raises for the user's eyes."""

from __future__ import annotations

import pulumi

from infra.stackfile import StackFileErrors


class Refused(pulumi.RunError):
    """What was declared cannot be realised. `errors` holds those of the stack file, by path."""

    def __init__(self, message: str, errors: StackFileErrors | None = None) -> None:
        super().__init__(message)
        self.errors = errors.errors if errors else ()
