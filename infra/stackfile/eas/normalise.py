"""An EAS service.json in its documented form: nulls gone, every field in its documented place, one dialect. Pure.

normalise(normalise(x)) = normalise(x). What was moved, filled in or left out is said in notes.
"""

from __future__ import annotations

import copy
import re
import shlex
from collections.abc import Mapping
from typing import Any

from infra.stackfile.eas.fields import GRACE, PROBE, TIMINGS, Kind, field_of
from infra.stackfile.eas.tree import get, put, take, without_nulls
from infra.stackfile.errors import ABSENT, Location, dotted
from runtime.contract.cron import five_fields

Notes = list[tuple[str, str]]
"""Path and what was done."""

MOVES: tuple[tuple[Location, Location], ...] = (
    (("name",), ("metadata", "name")),
    (("resource",), ("metadata", "resource")),
    (("rpc",), ("metadata", "rpc")),
    (("scheduling",), ("metadata", "scheduling")),
    (("metadata", "gateway"), ("networking", "gateway")),
    (("credential", "token"), ("token",)),
    (("credential", "docker_auth"), ("dockerAuth",)),
    (("metadata", "eas", "termination_grace_period"), ("metadata", GRACE)),
    ((GRACE,), ("metadata", GRACE)),
    (("eas", "termination_grace_period"), ("metadata", GRACE)),
    (("runtime", "termination_grace_period"), ("metadata", GRACE)),
)
"""Legacy and internal places, and the documented ones. A documented place that is taken wins."""

INTERNAL: tuple[Location, ...] = (
    ("credential", "generate_token"),
    ("generate_token",),
    ("metadata", "generate_token"),
    ("networking", "traffic_state"),
    ("runtime", "worker_image"),
    ("options",),
    ("metadata", "caller_uid"),
    ("metadata", "region"),
)
"""Fields of a description that EAS returned; no file has to say them."""

PASCAL = {
    "ExcludeDates": "excludeDates",
    "ScaleJobs": "scaleJobs",
    "Name": "name",
    "Schedule": "schedule",
    "TargetSize": "targetSize",
}


def normalise(raw: Mapping[str, Any]) -> tuple[dict[str, Any], Notes]:
    """The documented form and what was done to reach it. A wrong type is left as it is, for `check` to name."""
    notes: Notes = []
    document: dict[str, Any] = _undotted(copy.deepcopy(without_nulls(dict(raw))))
    for old, new in MOVES:
        _move(document, old, new, notes)
    for path in INTERNAL:
        if take(document, path) is not ABSENT:
            notes.append((dotted(path), "is EAS's own and is left out"))
    document = _typed(document, ())
    if get(document, ("networking", "gateway")) == "shared":
        take(document, ("networking", "gateway"))
        notes.append(("networking.gateway", '"shared" is what its absence means; left out'))
    if isinstance(document.get("metadata"), dict) and "instance" not in document["metadata"]:
        document["metadata"]["instance"] = 1
    _autoscaler(document)
    _instances(document)
    _storage(document)
    _containers(document, notes)
    return document, notes


def _undotted(document: dict[str, Any]) -> dict[str, Any]:
    """`"metadata.rpc.keepalive": 1` and `metadata: {"rpc.keepalive": 1}` in nested form."""
    for place in ((), ("metadata",)):
        node = get(document, place)
        if not isinstance(node, dict):
            continue
        for key in [key for key in node if "." in key and key != GRACE]:
            words = tuple(key.split("."))
            if words[0] in ("features", "labels") or not all(words):
                continue
            value, way = node.pop(key), get(node, words[:1])
            if way is ABSENT or (isinstance(way, dict) and get(node, words) is ABSENT):
                put(node, words, value)
    return document


def _move(document: dict[str, Any], old: Location, new: Location, notes: Notes) -> None:
    value = get(document, old)
    if value is ABSENT or (len(old) > 1 and not isinstance(get(document, old[:-1]), dict)):
        return
    present = get(document, new)
    if isinstance(value, dict) and isinstance(present, dict):
        for key in list(value):
            _move(document, (*old, key), (*new, key), notes)
        if not get(document, old):
            take(document, old)
        return
    take(document, old)
    if present is ABSENT:
        if len(new) == 1 or isinstance(get(document, new[:-1]), dict) or get(document, new[:-1]) is ABSENT:
            put(document, new, value)
            notes.append((dotted(old), f"was moved to {dotted(new)}"))
        else:
            put(document, old, value)
    elif present != value:
        notes.append((dotted(old), f"was left out: {dotted(new)} says otherwise, and wins"))


def _typed(value: Any, path: Location) -> Any:
    """Numbers and booleans that are written as text."""
    if isinstance(value, dict):
        return {key: _typed(each, (*path, key)) for key, each in value.items()}
    if isinstance(value, list):
        return [_typed(each, (*path, index)) for index, each in enumerate(value)]
    row = field_of(path)
    if row is None or not isinstance(value, str | float):
        return value
    return typed(value, row.kind)


def typed(value: Any, kind: Kind) -> Any:
    """`"true"` and `"4"` as what they mean, 4.0 as 4; anything else as it is."""
    if kind is Kind.BOOL and isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if kind in (Kind.INT, Kind.NUMBER):
        if isinstance(value, str) and re.fullmatch(r"-?\d{1,18}", value):
            return int(value)
        if isinstance(value, str) and kind is Kind.NUMBER and re.fullmatch(r"-?\d{1,15}\.\d{1,15}", value):
            return typed(float(value), kind)
        if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
            return int(value)
    return value


def _autoscaler(document: dict[str, Any]) -> None:
    """One dialect: scaleStrategies as a list, camelCase."""
    scaler = document.get("autoscaler")
    if not isinstance(scaler, dict):
        return
    scaler = {PASCAL.get(key, key): value for key, value in scaler.items()}
    strategies = scaler.get("strategies")
    if isinstance(strategies, dict) and "scaleStrategies" not in scaler:
        del scaler["strategies"]
        scaler["scaleStrategies"] = [
            {"metricName": name, "threshold": typed(value, Kind.NUMBER)} for name, value in strategies.items()
        ]
    for strategy in _mappings(scaler.get("scaleStrategies")):
        if "threshold" in strategy:
            strategy["threshold"] = typed(strategy["threshold"], Kind.NUMBER)
    jobs = scaler.get("scaleJobs")
    if isinstance(jobs, list):
        scaler["scaleJobs"] = [
            {PASCAL.get(key, key): value for key, value in job.items()} if isinstance(job, dict) else job
            for job in jobs
        ]
        for job in _mappings(scaler["scaleJobs"]):
            if "targetSize" in job:
                job["targetSize"] = typed(job["targetSize"], Kind.INT)
            if isinstance(schedule := job.get("schedule"), str) and (plain := five_fields(schedule)) is not None:
                job["schedule"] = f"0 {plain}"  # EAS's schedules begin with seconds
    document["autoscaler"] = scaler


def _instances(document: dict[str, Any]) -> None:
    """The short form `instance_type` as a list of one."""
    computing = get(document, ("cloud", "computing"))
    if not isinstance(computing, dict):
        return
    kind = computing.get("instance_type")
    if isinstance(kind, str) and not computing.get("instances"):
        del computing["instance_type"]
        computing["instances"] = [{"type": kind}]
    for each in _mappings(computing.get("instances")):
        if "spot_price_limit" in each:
            each["spot_price_limit"] = typed(each["spot_price_limit"], Kind.NUMBER)


def _storage(document: dict[str, Any]) -> None:
    """One spelling of readOnly; what is the default is not said, no mounts neither."""
    if document.get("storage") == []:
        del document["storage"]
    for mount in _mappings(document.get("storage")):
        for kind, source in mount.items():
            if not isinstance(source, dict):
                continue
            right, wrong = ("read_only", "readOnly") if kind == "dataset" else ("readOnly", "read_only")
            if wrong in source:
                source.setdefault(right, source.pop(wrong))
            if right in source:
                source[right] = typed(source[right], Kind.BOOL)
                if source[right] is (kind == "dataset"):
                    del source[right]


def _containers(document: dict[str, Any], notes: Notes) -> None:
    for index, container in enumerate(_mappings(document.get("containers"))):
        health = container.get("health_check")
        if isinstance(health, dict):
            del container["health_check"]
            for check in ("readiness_check", "liveness_check"):
                container.setdefault(check, copy.deepcopy(health))
            notes.append((f"containers[{index}].health_check", "was written as readiness_check and liveness_check"))
        for check in PROBE:
            probe = container.get(check)
            if not isinstance(probe, dict):
                continue
            command = get(probe, ("exec", "command"))
            if isinstance(command, str):
                probe["exec"]["command"] = _words(command)
            if check == "startup_check" and not any(timing in probe for timing in TIMINGS):
                probe |= {"initial_delay_seconds": 60, "failure_threshold": 30}
                notes.append((f"containers[{index}].{check}", "without timings waits 60 s and may fail 30 times"))
        variables = container.get("env")
        if isinstance(variables, list) and all(_is_variable(each) for each in variables):
            last = {each["name"]: _as_text(each["value"]) for each in variables}
            if len(last) < len(variables):
                notes.append((f"containers[{index}].env", "names a variable twice; the last one holds"))
            container["env"] = [{"name": name, "value": value} for name, value in last.items()]


def _is_variable(each: Any) -> bool:
    return (
        isinstance(each, dict)
        and set(each) == {"name", "value"}
        and isinstance(each["name"], str)
        and isinstance(each["value"], str | int | float | bool)
    )


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return [command]


def _mappings(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
