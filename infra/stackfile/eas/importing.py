"""From an EAS service.json to a service of a stack file, with a report on every field. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.stackfile.eas import check
from infra.stackfile.eas.fates import fates
from infra.stackfile.eas.mapping import launch_of, map_document
from infra.stackfile.eas.normalise import normalise
from infra.stackfile.eas.report import Item, Outcome
from infra.stackfile.eas.surprises import surprises
from infra.stackfile.eas.tree import take
from infra.stackfile.errors import ABSENT, Location, StackFileErrors, dotted

SECRETS: tuple[Location, ...] = (("token",), ("dockerAuth",), ("credential", "private_token"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A service, what became of each field, and the secrets that must not stand in a stack file (by their path)."""

    name: str
    service: dict[str, Any]
    report: tuple[Item, ...]
    secrets: dict[str, str] = field(default_factory=dict, repr=False)


def import_service(raw: Mapping[str, Any], *, name: str = "", hub: Mapping[str, str] | None = None) -> Imported:
    """Import a service.json; raises StackFileErrors with everything that refuses it.

    `name` stands in for a file without one. `hub` maps a hub's `org/name` to a catalog id.
    """
    if name and raw.get("metadata") is None:
        raw = {**raw, "metadata": {}}
    document, notes = normalise(raw)
    if name and isinstance(document.get("metadata"), dict):
        document["metadata"].setdefault("name", name)
    if refused := check.errors(document):
        raise StackFileErrors(refused)
    report = [Item(path=path, outcome=Outcome.CHANGED, text=text) for path, text in notes]
    report += [
        Item(
            path=found.path,
            outcome=Outcome.WARNING,
            text=f"{found.reason}{f'; {found.nearest}' if found.nearest else ''}",
        )
        for found in surprises(document)
    ]
    secrets = _take_secrets(document)
    report += [Item(path=path, outcome=Outcome.SECRET, text=_secret_text(path)) for path in secrets]
    launch = launch_of(document, hub or {})
    if launch and launch.unknown:
        text = f"{' '.join(launch.unknown)}: not understood, not passed on"
        report.append(Item(path="containers[0].command", outcome=Outcome.WARNING, text=text))
    service, rest = map_document(document, hub or {})
    report += fates(document, rest)
    service_name = str(take(rest, ("metadata", "name")))
    if rest:
        service["extra"] = rest
    return Imported(name=service_name, service=service, report=tuple(report), secrets=secrets)


def _take_secrets(document: dict[str, Any]) -> dict[str, str]:
    places = list(SECRETS)
    places += [("storage", index, "git", "password") for index in range(len(document.get("storage", [])))]
    found = {dotted(path): take(document, path) for path in places}
    return {path: str(value) for path, value in found.items() if value is not ABSENT}


def _secret_text(path: str) -> str:
    if path == "token":
        return "left out: Inferform makes a token of its own; `inferform token` prints it"
    return "left out: a stack file holds no secrets"
