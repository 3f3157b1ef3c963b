"""The ids of the plugin's resources. An id carries all that a read needs, so that `pulumi import` works with it alone.

    Host                                STATE
    Token, Route                        STATE|SERVICE
    Version, Rollout, VersionGuard      STATE|SERVICE/HASH

STATE is the host's absolute state folder, e.g. /home/me/project/.inferform/dev|chat/3f2a9c01d4
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Identity:
    """What an id says; service and hash are empty where it has none."""

    state: str
    service: str = ""
    hash: str = ""

    def __str__(self) -> str:
        rest = f"{self.service}/{self.hash}" if self.hash else self.service
        return f"{self.state}|{rest}" if rest else self.state


def parse(text: str, form: str) -> Identity:
    """Read an id of a form (`STATE`, `STATE|SERVICE` or `STATE|SERVICE/HASH`); ValueError says what is wrong."""
    state, bar, rest = text.rpartition("|") if "|" in form else (text, "", "")
    service, slash, digest = rest.partition("/")
    if (
        bool(bar) != ("|" in form)
        or bool(slash) != ("/" in form)
        or ("|" in form and not service)
        or ("/" in form and not digest)
    ):
        raise ValueError(f"the id {text!r} has not the form {form}, e.g. {example(form)}")
    if not Path(state).is_absolute():
        raise ValueError(f"the id {text!r} begins with no absolute folder; its form is {form}, e.g. {example(form)}")
    return Identity(state, service, digest)


def example(form: str) -> str:
    """An id of this form."""
    return (
        form.replace("STATE", "/home/me/project/.inferform/dev")
        .replace("SERVICE", "chat")
        .replace("HASH", "3f2a9c01d4")
    )
