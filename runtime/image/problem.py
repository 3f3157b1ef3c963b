"""What can go wrong while an image is made, in words that a person can act on."""

from __future__ import annotations


class ImageProblem(RuntimeError):
    """An image was not made. `hint` says what to do, `output` is how the program that failed ended."""

    def __init__(self, message: str, hint: str = "", output: str = "") -> None:
        super().__init__(message)
        self.hint, self.output = hint, output
