"""What no EAS service may say. Of the documented form; every problem at once. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from infra.stackfile.checks import SYSTEM_FOLDERS, name_error
from infra.stackfile.eas.fields import Kind, field_of, on_the_way
from infra.stackfile.eas.tree import get
from infra.stackfile.errors import ABSENT, Location, StackFileError, dotted, nearest

RESERVED_PORTS = (8080, 9090)
MOST_REPLICAS = 3000
SNAKE = {
    "min_replica": "min",
    "max_replica": "max",
    "min_replicas": "min",
    "max_replicas": "max",
    "scale_strategies": "scaleStrategies",
    "metric_name": "metricName",
    "scale_jobs": "scaleJobs",
    "target_size": "targetSize",
    "exclude_dates": "excludeDates",
}
"""Keys that EAS ignores without a word, so that the service scales to nothing."""
SOURCES = ("oss", "nfs", "dataset", "git", "empty_dir", "cache", "cloud_disk", "image")
ROLES = ("LLMGatewayService", "Async", "SDCluster")
"""Types of service that are not a model behind an endpoint."""
OPERATORS = ("&&", "||", ";", "|", ">", ">>", "<", "&")
PROCESSORS = ("processor", "processor_path", "processor_type")
TYPES: Mapping[Kind, tuple[type, ...]] = {
    Kind.INT: (int,),
    Kind.NUMBER: (int, float),
    Kind.BOOL: (bool,),
    Kind.TEXT: (str,),
}


def errors(document: Mapping[str, Any]) -> list[StackFileError]:
    """Everything that refuses the file."""
    return [
        error
        for check in (_types, _name, _surge, _runs, _place, _autoscaler, _storage, _containers, _networking)
        for error in check(document)
    ]


def _bad(path: Location | str, value: Any, reason: str, hint: str = "") -> StackFileError:
    return StackFileError(
        path=path if isinstance(path, str) else dotted(path), value=value, reason=reason, nearest=hint
    )


def _types(document: Mapping[str, Any]) -> Iterator[StackFileError]:
    for key, kind in {
        "metadata": dict,
        "cloud": dict,
        "networking": dict,
        "autoscaler": dict,
        "features": dict,
    }.items():
        if key in document and not isinstance(document[key], kind):
            yield _bad(key, document[key], "must be an object")
    for key in ("containers", "storage", "metrics"):
        if key in document and not isinstance(document[key], list):
            yield _bad(key, document[key], "must be a list")
        yield from _objects(document.get(key), (key,))
    for key in ("scaleStrategies", "scaleJobs"):
        yield from _objects(get(document, ("autoscaler", key)), ("autoscaler", key))
    for index, container in enumerate(_list(document.get("containers"))):
        yield from _leaf_types(container, ("containers", index))
    yield from _leaf_types(document, ())


def _objects(value: Any, path: Location) -> Iterator[StackFileError]:
    if len(path) > 1 and value is not ABSENT and not isinstance(value, list):
        yield _bad(path, value, "must be a list")
    for index, each in enumerate(_list(value)):
        if not isinstance(each, dict):
            yield _bad((*path, index), each, "must be an object")


def _leaf_types(value: Any, path: Location) -> Iterator[StackFileError]:
    row = field_of(path)
    if row is not None and row.kind in TYPES and type(value) not in TYPES[row.kind]:
        yield _bad(path, value, f"must be {row.kind.value}")
    elif row is not None and row.kind in (Kind.INT, Kind.NUMBER) and value < 0:
        yield _bad(path, value, "must be at least 0", "the nearest is 0")
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _leaf_types(each, (*path, key))
    elif len(path) > 1 and row is None and on_the_way(path):
        yield _bad(path, value, "must be an object")


def _name(document: Mapping[str, Any]) -> Iterator[StackFileError]:
    name = get(document, ("metadata", "name"))
    if name is ABSENT:
        yield _bad("metadata.name", ABSENT, "is missing", "a service's name has 3 to 63 of a-z, 0-9 and _")
    elif isinstance(name, str) and (problem := name_error("service", name, "metadata.name")):
        yield problem
    kind = get(document, ("metadata", "type"))
    if kind in ROLES:
        yield _bad("metadata.type", kind, "is a kind of service that is not available yet")


def _surge(document: Mapping[str, Any]) -> Iterator[StackFileError]:
    value = get(document, ("metadata", "rolling_strategy", "max_surge"))
    whole = type(value) is int and value >= 0
    if value is not ABSENT and not whole and not (isinstance(value, str) and re.fullmatch(r"\d{1,3}%", value)):
        yield _bad("metadata.rolling_strategy.max_surge", value, "must be a whole number or a percent", "for example 1")


def _runs(document: Mapping[str, Any]) -> Iterator[StackFileError]:
    if not document.get("containers") and not any(key in document for key in PROCESSORS):
        yield _bad(
            "containers", document.get("containers", ABSENT), "is missing", "a service needs a container or a processor"
        )


def _place(document: Mapping[str, Any]) -> Iterator[StackFileError]:
    """Exactly one of a group, a quota and public types; none of them is fine when sizes are given."""
    group, quota = get(document, ("metadata", "resource")), get(document, ("metadata", "quota_id"))
    instances = get(document, ("cloud", "computing", "instances"))
    types = _types_of(instances)
    for index, each in enumerate(_list(instances)):
        limit = each.get("spot_price_limit", 1) if isinstance(each, dict) else 1
        if type(limit) not in (int, float) or not limit > 0:
            place = ("cloud", "computing", "instances", index, "spot_price_limit")
            yield _bad(place, limit, "must be a number above 0, US dollars per hour")
    if instances is not ABSENT and types is None:
        reason = "must be a list of objects that each have a `type`"
        yield _bad("cloud.computing.instances", instances, reason)
        return
    if group is not ABSENT and quota is not ABSENT:
        yield _bad("metadata.resource", group, "and metadata.quota_id exclude each other", "keep one of them")
    if quota is not ABSENT and types:
        yield _bad("metadata.quota_id", quota, "and cloud.computing exclude each other", "keep one of them")
    if group is not ABSENT and types and "dedicated_resource" not in types:
        hint = "keep one of them, or list the group as {type: dedicated_resource}"
        yield _bad("metadata.resource", group, "and public instance types exclude each other", hint)
    for kind, value in (("resource group", group), ("quota", quota)):
        path = "metadata.resource" if kind == "resource group" else "metadata.quota_id"
        if isinstance(value, str) and (problem := name_error(kind, value, path)):
            yield problem
    sizes = [key for key in ("cpu", "memory", "gpu") if get(document, ("metadata", key)) is not ABSENT]
    if group is ABSENT and quota is ABSENT and not types and not sizes:
        hint = "name cloud.computing.instances, metadata.resource, metadata.quota_id, or at least cpu and memory"
        yield _bad("cloud.computing", ABSENT, "is missing: nothing says where the service runs", hint)


def _types_of(instances: Any) -> list[str] | None:
    if instances is ABSENT:
        return []
    if not isinstance(instances, list):
        return None
    types = [each.get("type") if isinstance(each, dict) else None for each in instances]
    return [str(each) for each in types] if all(isinstance(each, str) and each for each in types) else None


def _autoscaler(document: Mapping[str, Any]) -> Iterator[StackFileError]:
    scaler = document.get("autoscaler")
    if not isinstance(scaler, dict):
        return
    listed = scaler.get("scaleStrategies")
    strategies = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    places: list[tuple[Location, Mapping[str, Any]]] = [(("autoscaler",), scaler)]
    places += [(("autoscaler", "scaleStrategies", index), each) for index, each in enumerate(strategies)]
    for path, place in places:
        for key in place:
            if key in SNAKE:
                yield _bad(
                    (*path, key), place[key], "is ignored by EAS, which then scales to 0", f"did you mean {SNAKE[key]}?"
                )
    for index, each in enumerate(strategies):
        path = ("autoscaler", "scaleStrategies", index)
        if not isinstance(each.get("metricName"), str) and "metric_name" not in each:
            yield _bad((*path, "metricName"), each.get("metricName", ABSENT), "must be text", "for example qps")
        if type(each.get("threshold")) not in (int, float) or each["threshold"] <= 0:
            yield _bad((*path, "threshold"), each.get("threshold", ABSENT), "must be a number above 0")
    low, high = scaler.get("min", 0), scaler.get("max", 0)
    if type(low) is not int or type(high) is not int:
        return  # said by its type
    if "max" in scaler and high > MOST_REPLICAS:
        yield _bad("autoscaler.max", high, f"must be at most {MOST_REPLICAS}", f"the nearest is {MOST_REPLICAS}")
    if ("min" in scaler or "max" in scaler) and low > high:
        yield _bad("autoscaler.min", low, f"is above max {high}", f"the nearest is {high}")


def _storage(document: Mapping[str, Any]) -> Iterator[StackFileError]:
    seen: list[PurePosixPath] = []
    for index, mount in enumerate(_list(document.get("storage"))):
        if not isinstance(mount, dict):
            continue
        path = ("storage", index)
        where = mount.get("mount_path", ABSENT)
        if not isinstance(where, str) or not where.startswith("/"):
            hint = f"did you mean /{where}?" if isinstance(where, str) and where else ""
            yield _bad((*path, "mount_path"), where, "must be an absolute path", hint)
        else:
            here = PurePosixPath(where)
            if _system(here):
                yield _bad((*path, "mount_path"), where, "is a system folder", f"did you mean /mnt{here}?")
            for other in seen:
                if here == other or other in here.parents or here in other.parents:
                    yield _bad((*path, "mount_path"), where, f"overlaps the mount {other}")
            seen.append(here)
        sources = [key for key in mount if key in SOURCES]
        if len(sources) != 1:
            said = f"has {' and '.join(sources)}" if sources else "has none"
            unknown = [key for key in mount if key not in (*SOURCES, "mount_path", "properties")]
            hint = nearest(unknown[0], SOURCES) if unknown and not sources else ""
            if not (unknown and not sources and not hint):
                yield _bad(
                    path, sorted(mount), f"takes one source, this mount {said}", hint or f"one of {', '.join(SOURCES)}"
                )
        for source in sources:
            for spelling in ("readOnly", "read_only"):
                if (read_only := get(mount, (source, spelling))) is not ABSENT and not isinstance(read_only, bool):
                    yield _bad((*path, source, spelling), read_only, "must be true or false")
            if not isinstance(mount[source], dict):
                yield _bad((*path, source), mount[source], "must be an object")
        oss = get(mount, ("oss", "path"))
        if "oss" in mount and (not isinstance(oss, str) or not oss.startswith("oss://")):
            hint = f"did you mean oss://{oss}?" if isinstance(oss, str) and "://" not in oss else ""
            yield _bad((*path, "oss", "path"), oss, "must begin with oss://", hint)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _system(path: PurePosixPath) -> bool:
    if path == PurePosixPath("/"):
        return True
    inside = any(path == PurePosixPath(each) or PurePosixPath(each) in path.parents for each in SYSTEM_FOLDERS)
    return inside and path != PurePosixPath("/dev/shm")


def _containers(document: Mapping[str, Any]) -> Iterator[StackFileError]:
    for index, container in enumerate(_list(document.get("containers"))):
        if not isinstance(container, dict):
            continue
        path: Location = ("containers", index)
        if not container.get("image"):
            yield _bad((*path, "image"), container.get("image", ABSENT), "is missing")
        port = container.get("port")
        if type(port) is int and port in RESERVED_PORTS:
            yield _bad((*path, "port"), port, "is reserved for EAS's engine", "8000 is the usual one")
        command = container.get("command")
        if isinstance(command, str) and (operator := _operator(command)):
            hint = "put it under `script`, which a shell runs"
            yield _bad((*path, "command"), command, f"is no shell: {operator} would be an argument", hint)
        for check in ("startup_check", "liveness_check", "readiness_check", "health_check"):
            if check in container:
                yield from _probe(container[check], (*path, check))


def _operator(command: str) -> str:
    try:
        words = shlex.split(command)
    except ValueError:
        return ""
    return next((word for word in words if word in OPERATORS), "")


def _probe(probe: Any, path: Location) -> Iterator[StackFileError]:
    if not isinstance(probe, dict):
        yield _bad(path, probe, "must be an object")
        return
    ways = [way for way in ("http_get", "tcp_socket", "exec") if way in probe]
    if len(ways) != 1:
        said = f"has {' and '.join(ways)}" if ways else "has none"
        yield _bad(path, probe, f"takes one of http_get, tcp_socket and exec, this check {said}")


def _networking(document: Mapping[str, Any]) -> Iterator[StackFileError]:
    balancers = get(document, ("networking", "nlb"))
    if not isinstance(balancers, list) or not balancers:
        return
    for index, balancer in enumerate(balancers):
        if isinstance(balancer, dict) and balancer.get("listener_port") in (8080, "8080"):
            yield _bad(("networking", "nlb", index, "listener_port"), 8080, "is taken by EAS itself", "another port")
    switches = get(document, ("cloud", "networking", "vswitch_id"))
    count = len([each for each in str(switches).split(",") if each.strip()]) if switches is not ABSENT else 0
    if count < 2:
        reason = f"has {count} vSwitches, a network load balancer needs 2 in different zones"
        yield _bad("cloud.networking.vswitch_id", switches, reason)
