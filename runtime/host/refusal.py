"""A call that the admin API refuses, and the one way in which bodies are parsed."""

from __future__ import annotations

from typing import TypeVar

from aiohttp import web

from runtime.contract.document import Document

D = TypeVar("D", bound=Document)


class Refusal(Exception):
    """An error answer: HTTP status, the Problem's code, and its message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


async def parse(kind: type[D], request: web.Request) -> D:
    """The body as a document; raises pydantic.ValidationError, which becomes a 400 that names the fields."""
    return kind.from_json(await request.read())


def number(request: web.Request, name: str, default: float) -> float:
    """A number from the query; raises Refusal."""
    text = request.query.get(name)
    try:
        return default if text is None else float(text)
    except ValueError:
        raise Refusal(400, "Invalid", f"{name}: {text!r} is not a number") from None
