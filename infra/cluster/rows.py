"""Our rows as Kubernetes objects, and back. Pure.

A version, the spec of its replicas and a route are ConfigMaps of their own, all tokens are entries of one Secret, what
belongs to the whole namespace is the ConfigMap RECORD.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from typing import Any

from infra.cluster.pods import Json
from runtime.contract import cluster as names
from runtime.contract.desired import Token, Version
from runtime.contract.host import VersionRecord
from runtime.contract.pod import pod_spec
from runtime.contract.route import RouteTable

Object = dict[str, Any]
STACK_KEY, EPOCH_KEY = "stack", "epoch"
URL = f"{names.DOMAIN}/url"
"""On a route: the service's URL as the declaration says it, for those who ask the cluster alone."""


def labels(part: str, service: str = "", hash: str = "") -> dict[str, str]:
    """The labels of an object of ours."""
    found = {**names.MANAGED_BY, names.PART: part}
    if service:
        found[names.SERVICE] = service
    if hash:
        found[names.HASH] = hash
    return found


def selector(part: str, service: str = "", hash: str = "") -> str:
    """The label selector of objects of ours."""
    wanted = labels(part, service, hash).items()
    return ",".join(f"{key}={value}" for key, value in wanted if key not in names.MANAGED_BY)


def version_object(row: Version, found: Object | None = None) -> Object:
    """A version's ConfigMap; `found`: as it was read, so that what others put there stays."""
    made = found or {
        "metadata": {
            "name": names.version_name(*row.key),
            "labels": labels(names.PART_VERSION, *row.key),
        }
    }
    return {**made, "data": {**(made.get("data") or {}), names.VERSION_KEY: row.to_json()}}


def spec_object(record: VersionRecord) -> Object:
    """What a version's replicas read at their start."""
    key = (record.service, record.hash)
    return {
        "metadata": {"name": names.spec_name(*key), "labels": labels(names.PART_SPEC, *key)},
        "data": {names.SPEC_KEY: pod_spec(*key, record.template).canonical()},
    }


def version_of(found: Json) -> Version | None:
    """The version in a ConfigMap; None for one that holds none."""
    text = (found.get("data") or {}).get(names.VERSION_KEY)
    return None if text is None else Version.from_json(text)


def route_object(table: RouteTable, url: str, found: Object | None = None) -> Object:
    """A route's ConfigMap."""
    made = found or {
        "metadata": {
            "name": names.route_name(table.service),
            "labels": labels(names.PART_ROUTE, table.service),
        }
    }
    metadata = dict(made["metadata"])
    if url:
        metadata["annotations"] = {**(metadata.get("annotations") or {}), URL: url}
    return {**made, "metadata": metadata, "data": {**(made.get("data") or {}), names.ROUTE_KEY: table.to_json()}}


def route_of(found: Json) -> RouteTable | None:
    """The table in a ConfigMap; None for one that holds none."""
    text = (found.get("data") or {}).get(names.ROUTE_KEY)
    return None if text is None else RouteTable.from_json(text)


def url_of(found: Json) -> str:
    """The service's URL that was kept with its route."""
    return str((found["metadata"].get("annotations") or {}).get(URL, ""))


def tokens_object() -> Object:
    """The Secret of all tokens, with a new replica key."""
    return {
        "metadata": {"name": names.TOKENS, "labels": dict(names.MANAGED_BY)},
        "type": "Opaque",
        "data": {names.REPLICA_KEY: encoded(secrets.token_urlsafe(32))},
    }


def token_of(found: Json, service: str) -> Token | None:
    """A service's token in the Secret."""
    text = (found.get("data") or {}).get(service)
    return None if text is None else Token.from_json(base64.b64decode(text))


def with_token(found: Object, service: str, token: Token | None) -> Object:
    """The Secret with another token of a service, or without it."""
    data = {key: value for key, value in (found.get("data") or {}).items() if key != service}
    if token is not None:
        data[service] = encoded(token.to_json())
    return {**found, "data": data}


def encoded(text: str) -> str:
    """As a Secret holds it."""
    return base64.b64encode(text.encode()).decode()


def record_object(stack: str) -> Object:
    """The namespace's record, for its owner."""
    return {
        "metadata": {"name": names.RECORD, "labels": dict(names.MANAGED_BY)},
        "data": {STACK_KEY: stack, EPOCH_KEY: "0"},
    }


def owner_of(record: Json) -> str:
    """`project.stack` of the stack that a namespace belongs to."""
    return str((record.get("data") or {}).get(STACK_KEY, ""))


def epoch_of(record: Json) -> int:
    """How many runs of the plugin there were."""
    return int((record.get("data") or {}).get(EPOCH_KEY, "0"))


def with_epoch(record: Object, epoch: int) -> Object:
    """The record of another run."""
    data: Mapping[str, str] = record.get("data") or {}
    return {**record, "data": {**data, EPOCH_KEY: str(epoch)}}
