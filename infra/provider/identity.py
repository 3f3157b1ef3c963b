"""The ids of the plugin's resources. An id carries all that a read needs, so that `pulumi import` works with it alone.

    Host                                STATE
    Token, Route                        STATE|SERVICE
    Version, Rollout                    STATE|SERVICE/HASH

STATE is the host's absolute state folder, e.g. /home/me/project/.inferform/dev|chat/3f2a9c01d4, or
kubernetes://CONTEXT/NAMESPACE, e.g. kubernetes://prod/llm|chat/3f2a9c01d4
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from runtime.contract.cluster import is_cluster, parse_address


@dataclass(frozen=True)
class Identity:
    """What an id says; service and hash are empty where it has none."""

    state: str
    service: str = ""
    hash: str = ""

    def __str__(self) -> str:
        rest = f"{self.service}/{self.hash}" if self.hash else self.service
        place = place_of(self.state)
        return f"{place}|{rest}" if rest else place


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
    if is_cluster(state):
        try:
            parse_address(state)
        except ValueError as bad:
            raise ValueError(f"the id {text!r}: {bad}") from None
    elif not Path(state).is_absolute():
        raise ValueError(f"the id {text!r} begins with no absolute folder; its form is {form}, e.g. {example(form)}")
    return Identity(state, service, digest)


def place_of(state: str) -> str:
    """A state without what may change about it: a kubeconfig may move."""
    return str(replace(parse_address(state), kubeconfig="")) if is_cluster(state) else state


def same_place(old: object, new: object) -> bool:
    """Do two states, that may differ, name the same namespace of the same cluster?"""
    if not (isinstance(old, str) and isinstance(new, str) and is_cluster(old) and is_cluster(new)):
        return False
    try:
        return place_of(old) == place_of(new)
    except ValueError:
        return False


def example(form: str) -> str:
    """An id of this form."""
    return (
        form.replace("STATE", "/home/me/project/.inferform/dev")
        .replace("SERVICE", "chat")
        .replace("HASH", "3f2a9c01d4")
    )
