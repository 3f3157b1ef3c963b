"""Builds the chat page: one document whose style and script are named by hash in its Content-Security-Policy."""

from __future__ import annotations

import base64
import hashlib
import html
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
SCRIPTS = ("markdown.js", "service.js", "settings.js", "knowledge.js", "page.js")
"""In order: a later one uses what an earlier one declares. They are one module in the document."""


@dataclass(frozen=True, slots=True)
class Page:
    """The bytes of the page and the headers it is served with."""

    body: bytes
    headers: dict[str, str]


def build_page(*, service: str, model: str, method: str, context: int, knowledge: bool, uploads: bool) -> Page:
    """The page of one service. It holds no data and needs no token; it asks for the token itself."""
    template, style, script = _parts()
    facts = {
        "service": service,
        "model": model,
        "method": method,
        "context": str(context),
        "knowledge": "true" if knowledge else "false",
        "uploads": "true" if uploads else "false",
    }
    for name, value in facts.items():
        template = template.replace("{{" + name + "}}", html.escape(value))
    body = template.replace("{{style}}", style).replace("{{script}}", script).encode()
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_hash(script)}'",
            f"style-src '{_hash(style)}'",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
    return Page(body, headers)


@cache
def _parts() -> tuple[str, str, str]:
    script = "\n".join((FOLDER / name).read_text() for name in SCRIPTS).replace("\nexport ", "\n")
    return (FOLDER / "page.html").read_text(), (FOLDER / "page.css").read_text(), script


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
