"""Objects of the API as rows and endpoints. What cannot be read is logged by its name and leaves what was there."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import ValidationError

from runtime.contract.cluster import HASH, REPLICA_KEY, REPLICA_PORT, ROUTE_KEY, SERVICE, VERSION_KEY
from runtime.contract.desired import Token, Version
from runtime.contract.host import Endpoint
from runtime.contract.route import RouteTable
from runtime.kubeapi import Object

Row = TypeVar("Row")
log = logging.getLogger(__name__)


class Reader(Generic[Row]):
    """Reads a kind of texts, each anew only when it has changed. A broken one keeps its last good row."""

    def __init__(self, what: str, parse: Callable[[str], Row]) -> None:
        self._what, self._parse = what, parse
        self._known: dict[str, tuple[str, Row | None]] = {}

    def read(self, texts: Mapping[str, str]) -> dict[str, Row]:
        """The rows by name; one that was never readable is left out."""
        known: dict[str, tuple[str, Row | None]] = {}
        for name, text in texts.items():
            before = self._known.get(name)
            known[name] = before if before is not None and before[0] == text else (text, self._row(name, text, before))
        self._known = known
        return {name: row for name, (_, row) in known.items() if row is not None}

    def _row(self, name: str, text: str, before: tuple[str, Row | None] | None) -> Row | None:
        try:
            return self._parse(text)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            kept = before[1] if before is not None else None
            fate = "left out" if kept is None else "it keeps what it said last"
            log.error("%s %s cannot be read, %s: %s", self._what, name, fate, why(error))
            return kept


def why(error: Exception) -> str:
    """Where a document is wrong, without what it holds: that may be a token."""
    if isinstance(error, ValidationError):
        return ", ".join(".".join(map(str, each["loc"])) or "document" for each in error.errors())
    return type(error).__name__


def entries(objects: Mapping[str, Object], key: str) -> dict[str, str]:
    """One data key of each ConfigMap, by the ConfigMap's name; those without it are left out."""
    found = {name: (item.get("data") or {}).get(key) for name, item in objects.items()}
    return {name: text for name, text in found.items() if isinstance(text, str)}


class Rows:
    """The rows of a namespace: versions, routes, tokens."""

    def __init__(self) -> None:
        self._versions = Reader("the version in ConfigMap", Version.from_json)
        self._routes = Reader("the route in ConfigMap", RouteTable.from_json)
        self._tokens = Reader("the token of service", _token)

    def versions(self, objects: Mapping[str, Object]) -> dict[str, Version]:
        """By the ConfigMap's name."""
        return self._versions.read(entries(objects, VERSION_KEY))

    def routes(self, objects: Mapping[str, Object]) -> dict[str, RouteTable]:
        """By service."""
        return {table.service: table for table in self._routes.read(entries(objects, ROUTE_KEY)).values()}

    def tokens(self, secret: Object | None) -> dict[str, Token]:
        """By service."""
        data = (secret or {}).get("data") or {}
        return self._tokens.read({name: str(text) for name, text in data.items() if name != REPLICA_KEY})


def replica_key(secret: Object | None) -> bytes:
    """What this gateway shows replicas; empty without one."""
    text = ((secret or {}).get("data") or {}).get(REPLICA_KEY, "")
    try:
        key = base64.b64decode(text, validate=True).strip()
    except ValueError:
        log.error("the replica key in the Secret is no base64")
        return b""
    return key if key.isascii() and b"\r" not in key and b"\n" not in key else b""


def _token(text: str) -> Token:
    return Token.from_json(base64.b64decode(text, validate=True))


@dataclass(frozen=True)
class Pod:
    """One pod behind a Service."""

    name: str
    ip: str
    ready: bool
    draining: bool


def pods_of(slices: Iterable[Object]) -> dict[str, Pod]:
    """The pods in EndpointSlices, by name. A pod in several (two address families, or just moved) counts once."""
    found: dict[str, Pod] = {}
    for item in sorted(slices, key=lambda each: str(each.get("addressType", ""))):
        for endpoint in item.get("endpoints") or []:
            target, addresses = endpoint.get("targetRef") or {}, endpoint.get("addresses") or []
            if target.get("kind") != "Pod" or not addresses:
                continue
            conditions = endpoint.get("conditions") or {}
            pod = Pod(
                name=str(target.get("name", "")),
                ip=str(addresses[0]),
                ready=conditions.get("ready") is not False,  # unknown counts as ready
                draining=conditions.get("terminating") is True,
            )
            known = found.get(pod.name)
            if known is None or (pod.ready and not known.ready):
                found[pod.name] = pod
    return found


def endpoints_of(slices: Iterable[Object]) -> dict[tuple[str, str], tuple[Endpoint, ...]]:
    """The replicas of each version (service, hash), sorted by name."""
    by_version: dict[tuple[str, str], list[Object]] = {}
    for item in slices:
        labels = item["metadata"].get("labels") or {}
        if labels.get(SERVICE) and labels.get(HASH):
            by_version.setdefault((labels[SERVICE], labels[HASH]), []).append(item)
    return {
        key: tuple(
            Endpoint(
                replica=pod.name,
                address=f"http://{host_in_url(pod.ip)}:{REPLICA_PORT}",
                ready=pod.ready and not pod.draining,
                draining=pod.draining,
            )
            for pod in sorted(pods_of(items).values(), key=lambda pod: pod.name)
        )
        for key, items in by_version.items()
    }


def host_in_url(ip: str) -> str:
    """An address as URLs write it."""
    return f"[{ip}]" if ":" in ip else ip
