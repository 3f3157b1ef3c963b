"""From a service of a stack file to an EAS service.json. Pure.

It begins with what an import kept under `extra` and writes what the service says over it. Lossy sources in `extra` (the
command, a list of instance types, a percent) are used as they are for as long as they still say what the service says.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.stackfile.eas.launch import IMAGES, PORT, read_launch, write_command
from infra.stackfile.eas.mapping import BEHAVIOR, CAMEL, CHECKS, TARGETS, instance_types, surge_of
from infra.stackfile.eas.report import Item, Outcome
from infra.stackfile.eas.tree import get, put, take
from infra.stackfile.errors import ABSENT
from infra.stackfile.services import MAIN, Service

NOT_EAS = ("auth", "tokenRotation", "tokenOverlapSeconds", "wire", "knowledge", "eas")
"""Keys of a service that EAS has no field for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A service.json and what could not be said in it."""

    document: dict[str, Any]
    report: tuple[Item, ...]


def export_service(
    name: str,
    service: Mapping[str, Any],
    *,
    version: str = "",
    secrets: Mapping[str, str] | None = None,
    hub: Mapping[str, str] | None = None,
) -> Exported:
    """Export a service as it is written in a stack file; raises KeyError for a version that is not there.

    `version`: which of several; the one with most traffic by default. `secrets` and `hub` are those of the import.
    """
    report: list[Item] = []
    flat = _one_version(service, version, report)
    document: dict[str, Any] = copy.deepcopy(dict(flat.get("extra", {})))
    put(document, ("metadata", "name"), name)
    _resources(flat, document)
    _replicas(flat, document)
    _container(flat, document, hub or {}, report)
    _storage(flat, document, report)
    _limits(flat, document, report)
    _rollout(flat, document, report)
    if "webui" in flat:
        put(document, ("metadata", "enable_webservice"), flat["webui"])
    for path, value in (secrets or {}).items():
        _put_secret(document, path, value)
    for key in NOT_EAS:
        if key in flat:
            report.append(_lost(key, "has no field in a service.json"))
    return Exported(document=document, report=tuple(report))


def _lost(path: str, text: str) -> Item:
    return Item(path=path, outcome=Outcome.WARNING, text=text)


def _one_version(service: Mapping[str, Any], version: str, report: list[Item]) -> dict[str, Any]:
    """The service with one version's keys on it."""
    if "versions" not in service:
        if version and version != MAIN:
            raise KeyError(version)
        return dict(service)
    traffic = service.get("traffic") or {}
    chosen = version or max(service["versions"], key=lambda name: traffic.get(name, 0))
    keys = service["versions"][chosen] or {}
    for name in service["versions"]:
        if name != chosen:
            report.append(_lost(f"versions.{name}", f"EAS has one version at a time; {chosen} is exported"))
    return {**{key: value for key, value in service.items() if key not in ("versions", "traffic")}, **keys}


def _resources(service: Mapping[str, Any], document: dict[str, Any]) -> None:
    found = service.get("resources", {})
    resources: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    for key, name in (("group", "resource"), ("quota", "quota_id"), ("cpus", "cpu"), ("gpus", "gpu")):
        if key in resources:
            put(document, ("metadata", name), resources[key])
    if "memoryGiB" in resources:
        put(document, ("metadata", "memory"), round(resources["memoryGiB"] * 1024))
    if "gpuFraction" in resources:
        put(document, ("metadata", "gpu_core_percentage"), round(resources["gpuFraction"] * 100))
    types, spot = list(resources.get("instanceTypes", [])), (resources.get("spot") or {}).get("maxPerHour")
    place = ("cloud", "computing", "instances")
    kept = get(document, place)
    if types and (kept is ABSENT or instance_types(kept)[:2] != (types, spot)):
        limit = {} if spot is None else {"spot_price_limit": spot}
        put(document, place, [{"type": kind, **limit} for kind in types])


def _replicas(service: Mapping[str, Any], document: dict[str, Any]) -> None:
    replicas = service.get("replicas", {})
    imported_scaler = get(document, ("metadata", "instance")) is not ABSENT
    low = replicas.get("min", 1)
    high = replicas.get("max", max(1, low, *(job["replicas"] for job in replicas.get("cron", []))))
    scaled = low != high or bool(set(replicas) - {"min", "max"})
    if not imported_scaler:
        put(document, ("metadata", "instance"), 0 if service.get("stopped") else max(low, 1) if scaled else low)
        if not scaled:
            return
    if "min" in replicas or "max" in replicas or not imported_scaler:
        put(document, ("autoscaler", "min"), low)
        put(document, ("autoscaler", "max"), high)
    metrics = {ours: theirs for theirs, ours in TARGETS.items()}
    wanted = [
        {"metricName": metrics[key], "threshold": value}
        for key, value in replicas.get("target", {}).items()
        if key in metrics
    ]
    if wanted:
        kept = get(document, ("autoscaler", "scaleStrategies"))
        put(document, ("autoscaler", "scaleStrategies"), wanted + ([] if kept is ABSENT else kept))
    for path, (key, _) in BEHAVIOR.items():
        if key in replicas:
            put(document, ("autoscaler", "behavior", *path), replicas[key])
    if "cron" in replicas:
        jobs = [
            {
                **({"name": job["name"]} if "name" in job else {}),
                "schedule": f"0 {job['schedule']}",
                "targetSize": job["replicas"],
            }
            for job in replicas["cron"]
        ]
        put(document, ("autoscaler", "scaleJobs"), jobs)


def _container(
    service: Mapping[str, Any], document: dict[str, Any], hub: Mapping[str, str], report: list[Item]
) -> None:
    method = service.get("method", Service.model_fields["method"].default.value)
    imported = bool(document.get("containers"))
    if not imported and method == "process":
        return  # a processor: everything is in extra
    if not imported:
        put(document, ("containers", 0, "image"), IMAGES[method])
        put(document, ("containers", 0, "port"), PORT)
    container = document["containers"][0]
    if not imported or _says(service) != _says(read_launch(container, hub).keys()):
        for key in ("command", "script", "args"):
            container.pop(key, None)
        if method == "process":
            report.append(_lost("method", "what the process runs is not known any more; the command is missing"))
        else:
            container["command"] = write_command(service, {ours: theirs for theirs, ours in hub.items()})
            if str(service.get("model", "")).startswith(("s3://", "./", "../", "~")):
                report.append(_lost("model", "EAS reads models from mounts: mount it and name the mount's path"))
            if not imported:
                report.append(_lost("containers[0].image", "put in your region's registry for <registry>"))
    if "env" in service:
        container["env"] = [{"name": key, "value": value} for key, value in service["env"].items()]
    for name, probe in service.get("probes", {}).items():
        _probe(container, CHECKS[name], probe)


def _says(service: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that a command decides."""
    keys = ("method", "model", "engine", "context", "concurrency", "engineArgs", "trust")
    said = {key: service[key] for key in keys if service.get(key)}
    return {**said, "trust": bool((said.get("trust") or {}).get("remoteCode"))}


def _probe(container: dict[str, Any], check: str, probe: Mapping[str, Any]) -> None:
    for key, path in (
        ("httpPath", ("http_get", "path")),
        ("tcpPort", ("tcp_socket", "port")),
        ("command", ("exec", "command")),
    ):
        if key in probe:
            put(container, (check, *path), probe[key])
    for theirs, ours in CAMEL.items():
        if ours in probe:
            put(container, (check, theirs), probe[ours])


def _storage(service: Mapping[str, Any], document: dict[str, Any], report: list[Item]) -> None:
    ours = {mount["mountPath"]: mount for mount in service.get("storage", [])}
    written: list[dict[str, Any]] = []
    for kept in document.pop("storage", []):
        ours_too = ours.pop(kept["mount_path"], None)
        if ours_too is not None:
            written.append(_merged(kept, _mount(ours_too, report)))
        elif not _is_rest(kept):
            written.append(kept)
    written += [_mount(mount, report) for mount in ours.values()]
    if written := [mount for mount in written if len(mount) > 1]:
        document["storage"] = written


def _is_rest(kept: Mapping[str, Any]) -> bool:
    """Is this what an import left of a mount that became one of ours? Then it goes when ours has gone."""
    if set(kept) <= {"mount_path", "properties"} or "empty_dir" in kept:
        return True
    return any(key in kept and part not in kept[key] for key, part in (("oss", "path"), ("git", "repo")))


def _mount(mount: Mapping[str, Any], report: list[Item]) -> dict[str, Any]:
    source, path = str(mount["source"]), mount["mountPath"]
    if source.startswith("s3://"):
        read_only = {"readOnly": True} if mount.get("readOnly", True) else {}
        return {"mount_path": path, "oss": {"path": "oss://" + source.removeprefix("s3://"), **read_only}}
    if source.startswith("git+"):
        repository, _, commit = source.removeprefix("git+").rpartition("@")
        return {"mount_path": path, "git": {"repo": repository, "commit": commit}}
    if source.startswith("empty://"):
        return {"mount_path": path, "empty_dir": {}}
    report.append(_lost(f"storage {path}", "a local path has no source in EAS; the mount is left out"))
    return {"mount_path": path}


def _merged(kept: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    merged = copy.deepcopy(dict(kept))
    for key, value in new.items():
        merged[key] = (
            {**merged[key], **value} if isinstance(value, dict) and isinstance(merged.get(key), dict) else value
        )
    return merged


def _limits(service: Mapping[str, Any], document: dict[str, Any], report: list[Item]) -> None:
    limits = dict(service.get("limits", {}))
    if "requestSeconds" in limits:
        put(document, ("metadata", "rpc", "keepalive"), round(limits.pop("requestSeconds") * 1000))
    if "queue" in limits:
        put(document, ("metadata", "rpc", "max_queue_size"), limits.pop("queue"))
    if "qpsPerReplica" in limits:
        put(document, ("metadata", "rpc", "rate_limit"), limits.pop("qpsPerReplica"))
    for key, name in (("qps", "rate_limit"), ("concurrency", "concurrency_limit")):
        if key in limits:
            place = ("networking", "gateway_policy", name)
            put(document, (*place, "enable"), True)
            put(document, (*place, "limit"), limits.pop(key))
    report += [_lost(f"limits.{key}", "has no field in a service.json") for key in limits]


def _rollout(service: Mapping[str, Any], document: dict[str, Any], report: list[Item]) -> None:
    rollout = service.get("rollout", {})
    place = ("metadata", "rolling_strategy", "max_surge")
    surge = 0 if rollout.get("strategy") == "recreate" else rollout.get("surge")
    kept = get(document, place)
    if surge is None:
        take(document, place)
    elif kept is ABSENT or surge_of(kept, service.get("replicas", {}).get("max", 1)) != surge:
        put(document, place, surge)
    if "timeouts" in rollout:
        report.append(_lost("rollout.timeouts", "has no field in a service.json"))


def _put_secret(document: dict[str, Any], path: str, value: str) -> None:
    if path.startswith("storage["):
        index = int(path[len("storage[") : path.index("]")])
        document["storage"][index].setdefault("git", {})["password"] = value
    elif path != "credential.private_token":
        document[path] = value
