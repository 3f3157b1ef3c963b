"""Objects of a namespace as the plugin and Kubernetes write them."""

from __future__ import annotations

import base64
from typing import Any, Literal

from runtime.contract import cluster as names
from runtime.contract.desired import Token, Version
from runtime.contract.host import TokenRecord, VersionRecord
from runtime.contract.replica import Limits
from runtime.contract.route import RouteTable, RouteVersion
from runtime.contract.scaling import Scaling
from runtime.contract.version import Bounds, EngineKind, Method, VersionTemplate
from runtime.kubeapi import Object

TEMPLATE = VersionTemplate(method=Method.STANDARD, engine=EngineKind.SCRIPTED)
HASH = TEMPLATE.hash()
NAME = names.version_name("chat", HASH)


def version(
    low: int = 1,
    high: int = 3,
    *,
    service: str = "chat",
    by: Literal["gateway", "hpa", "keda"] = "gateway",
    **fields: Any,
) -> Version:
    record = VersionRecord(
        service=service, name="main", hash=HASH, template=TEMPLATE, bounds=Bounds(min=low, max=high),
        scaling=Scaling(by=by),
    )  # fmt: skip
    return Version(**{"record": record, "live": low, **fields})


def route(service: str = "chat", *, routed: bool = True, **fields: Any) -> RouteTable:
    versions = {"main": RouteVersion(hash=HASH, weight=100)} if routed else {}
    return RouteTable(**{"service": service, "generation": 1, "versions": versions, **fields})


def limited(**limits: Any) -> RouteTable:
    return route(limits=Limits(**limits))


def thing(name: str, part: str, service: str = "", digest: str = "", **rest: Any) -> Object:
    labels = {names.PART: part, names.SERVICE: service, names.HASH: digest}
    return {"metadata": {"name": name, "labels": {key: value for key, value in labels.items() if value}}, **rest}


def version_map(row: Version) -> Object:
    service, digest = row.key
    name = names.version_name(service, digest)
    return thing(name, names.PART_VERSION, service, digest, data={names.VERSION_KEY: row.to_json()})


def route_map(table: RouteTable) -> Object:
    name = names.route_name(table.service)
    return thing(name, names.PART_ROUTE, table.service, data={names.ROUTE_KEY: table.to_json()})


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def secret(key: str = "replica-secret", **tokens: str) -> Object:
    """Tokens by service; `name="new|old|until"` has an overlap."""
    data = {names.REPLICA_KEY: encoded(key)}
    for service, text in tokens.items():
        value, before, until = (*text.split("|"), "", "0")[:3] if "|" in text else (text, "", "0")
        token = Token(record=TokenRecord(token=value), before=before, before_until=float(until))
        data[service] = encoded(token.to_json())
    return {"metadata": {"name": names.TOKENS}, "data": data}


def endpoint(pod: str, ip: str, **conditions: bool) -> Object:
    return {"addresses": [ip], "conditions": conditions, "targetRef": {"kind": "Pod", "name": pod}}


def version_slice(*endpoints: Object, service: str = "chat", name: str = "s1", kind: str = "IPv4") -> Object:
    return thing(name, names.PART_VERSION, service, HASH, addressType=kind, endpoints=list(endpoints))


def gateway_slice(*endpoints: Object) -> Object:
    return thing("g1", names.PART_GATEWAY, addressType="IPv4", endpoints=list(endpoints))


def deployment(replicas: int, ready: int = 0, service: str = "chat") -> Object:
    made = thing(names.version_name(service, HASH), names.PART_VERSION, service, HASH)
    return {**made, "spec": {"replicas": replicas}, "status": {"readyReplicas": ready}}
