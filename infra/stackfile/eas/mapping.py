"""From the documented form to a service of a stack file, and what is left of it. Pure.

Every mapping takes what it can say out of the document; what is left stays, word for word, for `extra`. Lossy mappings
(a command, a list of instance types, a percent) leave their source there too, so that an export can use it.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Mapping
from typing import Any

from infra.stackfile.eas.fields import TIMINGS
from infra.stackfile.eas.launch import Launch, read_launch
from infra.stackfile.eas.tree import get, take
from infra.stackfile.errors import ABSENT, Location
from infra.stackfile.sources import BadSource, mount_source
from runtime.contract.cron import five_fields

CHECKS = {"startup": "startup_check", "liveness": "liveness_check", "readiness": "readiness_check"}
TARGETS = {"qps": "qps", "queue[avgbacklog]": "queue"}
"""EAS's metrics that the autoscaler has, by their keys in `replicas.target`."""
BEHAVIOR: Mapping[tuple[str, str], tuple[str, int]] = {
    ("scaleUp", "stabilizationWindowSeconds"): ("scaleUpSeconds", 0),
    ("scaleDown", "stabilizationWindowSeconds"): ("scaleDownSeconds", 0),
    ("onZero", "scaleDownGracePeriodSeconds"): ("idleSeconds", 1),
    ("onZero", "scaleUpActivationReplicas"): ("activation", 1),
}
"""What `autoscaler.behavior` says, by the keys of `replicas` and the least that they take."""
CAMEL = {
    "initial_delay_seconds": "initialDelaySeconds",
    "period_seconds": "periodSeconds",
    "timeout_seconds": "timeoutSeconds",
    "success_threshold": "successThreshold",
    "failure_threshold": "failureThreshold",
}


def map_document(document: Mapping[str, Any], hub: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A documented form without secrets as a service, and what is left of it."""
    rest: dict[str, Any] = copy.deepcopy(dict(document))
    service: dict[str, Any] = {}
    _maplaunch_of(document, service, hub)
    _map_resources(rest, service)
    _map_replicas(rest, service)
    _map_container(rest, service)
    _map_storage(rest, service)
    _map_limits(rest, service)
    _map_rollout(rest, service)
    if (page := take(rest, ("metadata", "enable_webservice"))) is not ABSENT:
        service["webui"] = page
    return service, rest


def launch_of(document: Mapping[str, Any], hub: Mapping[str, str]) -> Launch | None:
    """What the container that takes traffic starts; None without containers."""
    containers = document.get("containers") or []
    return read_launch(containers[0], hub) if containers else None


def _maplaunch_of(document: Mapping[str, Any], service: dict[str, Any], hub: Mapping[str, str]) -> None:
    """The command stays in `extra`; an export uses it as long as it still says what the service says."""
    launch = launch_of(document, hub)
    service.update(launch.keys() if launch else {"method": "process"})


def instance_types(instances: Any) -> tuple[list[str], float | None, bool]:
    """The types in order, the one spot limit, whether that is all that the list says. No types: a dedicated group."""
    types = list(dict.fromkeys(each["type"] for each in instances))
    limits = [each.get("spot_price_limit") for each in instances]
    same = len(set(limits)) == 1 and isinstance(limits[0], int | float) and limits[0] > 0
    spot = limits[0] if same else None
    plain = all(set(each) <= {"type", "spot_price_limit"} for each in instances) and len(types) == len(instances)
    if "dedicated_resource" in types:
        return [], None, False
    return types, spot, plain and (same or set(limits) == {None})


def _map_resources(rest: dict[str, Any], service: dict[str, Any]) -> None:
    resources: dict[str, Any] = {}
    for key, name in (("resource", "group"), ("quota_id", "quota")):
        if (value := take(rest, ("metadata", key))) is not ABSENT:
            resources[name] = value
    place = ("cloud", "computing", "instances")
    if instances := [] if (found := get(rest, place)) is ABSENT else found:
        types, spot, plain = instance_types(instances)
        if types:
            resources["instanceTypes"] = types
        if spot is not None:
            resources["spot"] = {"maxPerHour": spot}
        if plain:
            take(rest, place)
    if (cores := get(rest, ("metadata", "cpu"))) is not ABSENT and cores > 0:
        resources["cpus"] = take(rest, ("metadata", "cpu"))
    if (megabytes := get(rest, ("metadata", "memory"))) is not ABSENT and megabytes > 0:
        take(rest, ("metadata", "memory"))
        resources["memoryGiB"] = megabytes // 1024 if megabytes % 1024 == 0 else megabytes / 1024
    if (gpus := take(rest, ("metadata", "gpu"))) is not ABSENT:
        resources["gpus"] = gpus
    if (percent := get(rest, ("metadata", "gpu_core_percentage"))) is not ABSENT and 0 < percent < 100:
        take(rest, ("metadata", "gpu_core_percentage"))
        resources["gpuFraction"] = percent / 100
    if resources:
        service["resources"] = resources


def _map_replicas(rest: dict[str, Any], service: dict[str, Any]) -> None:
    """Without an autoscaler `instance` is both bounds; with one it stays in `extra`, as the count to begin with."""
    if "autoscaler" not in rest:
        count = take(rest, ("metadata", "instance"))
        if count == 0:
            service["stopped"] = True
        else:
            service["replicas"] = {"min": count, "max": count}
        return
    scaler = rest["autoscaler"]
    low, high = scaler.get("min"), scaler.get("max")
    replicas: dict[str, Any] = {}
    if low is not None and high is not None and high >= 1:
        take(rest, ("autoscaler", "min"))
        take(rest, ("autoscaler", "max"))
        replicas |= {"min": low, "max": high}
    elif high == 0:
        service["stopped"] = True
    strategies = scaler.get("scaleStrategies", [])
    if strategies and set(strategies[0]) == {"metricName", "threshold"} and strategies[0]["metricName"] in TARGETS:
        first = strategies.pop(0)
        replicas["target"] = {TARGETS[first["metricName"]]: first["threshold"]}
        if not strategies:
            take(rest, ("autoscaler", "scaleStrategies"))
    for path, (key, least) in BEHAVIOR.items():
        place = ("autoscaler", "behavior", *path)
        if (amount := get(rest, place)) is not ABSENT and amount >= least:
            replicas[key] = take(rest, place)
    jobs = get(rest, ("autoscaler", "scaleJobs"))
    most = replicas.get("max", math.inf)
    if jobs is not ABSENT and jobs and all(_is_job(job) and job["targetSize"] <= most for job in jobs):
        take(rest, ("autoscaler", "scaleJobs"))
        replicas["cron"] = [
            {
                **({"name": job["name"]} if "name" in job else {}),
                "schedule": five_fields(job["schedule"]),
                "replicas": job["targetSize"],
            }
            for job in jobs
        ]
    if replicas:
        service["replicas"] = replicas


def _is_job(job: Mapping[str, Any]) -> bool:
    return (
        {"schedule", "targetSize"} <= set(job) <= {"name", "schedule", "targetSize"}
        and type(job["targetSize"]) is int
        and job["targetSize"] >= 0
        and isinstance(job["schedule"], str)
        and five_fields(job["schedule"]) is not None
        and isinstance(job.get("name", "-"), str)
        and job.get("name") != ""
    )


def _map_container(rest: dict[str, Any], service: dict[str, Any]) -> None:
    variables = get(rest, ("containers", 0, "env"))
    if variables is not ABSENT and _plain_variables(variables):
        take(rest, ("containers", 0, "env"))
        service["env"] = {each["name"]: each["value"] for each in variables}
    probes = {}
    for name, key in CHECKS.items():
        if probe := _probe(rest, ("containers", 0, key)):
            probes[name] = probe
    if probes:
        service["probes"] = probes


def _plain_variables(variables: Any) -> bool:
    if not isinstance(variables, list) or not variables:
        return False
    return all(
        isinstance(each, dict)
        and set(each) == {"name", "value"}
        and isinstance(each["value"], str)
        and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", str(each["name"])) is not None
        for each in variables
    ) and len({each["name"] for each in variables}) == len(variables)


def _probe(rest: dict[str, Any], path: Location) -> dict[str, Any]:
    """What a check says that a probe of ours can say; nothing when its way of asking cannot be said."""
    way: dict[str, Any] = {}
    page, port = get(rest, (*path, "http_get", "path")), get(rest, (*path, "tcp_socket", "port"))
    command = get(rest, (*path, "exec", "command"))
    if isinstance(page, str) and page.startswith("/"):
        way = {"httpPath": take(rest, (*path, "http_get", "path"))}
    elif type(port) is int and 1 <= port <= 65535:
        way = {"tcpPort": take(rest, (*path, "tcp_socket", "port"))}
    elif isinstance(command, list) and command and all(isinstance(word, str) and word for word in command):
        way = {"command": take(rest, (*path, "exec", "command"))}
    if not way:
        return {}
    for timing in TIMINGS:
        value = get(rest, (*path, timing))
        if type(value) is int and value >= (0 if timing == "initial_delay_seconds" else 1):
            way[CAMEL[timing]] = take(rest, (*path, timing))
    return way


def mount_of(mount: Mapping[str, Any]) -> dict[str, Any] | None:
    """An EAS mount as one of ours; None for a source that nothing here can mount."""
    way: dict[str, Any] | None = None
    if isinstance(mount.get("oss"), dict):
        source = "s3://" + str(mount["oss"].get("path", "")).removeprefix("oss://")
        way = {"source": source, "readOnly": mount["oss"].get("readOnly") is True}
    elif isinstance(mount.get("git"), dict) and isinstance(mount["git"].get("commit"), str):
        way = {"source": f"git+{mount['git'].get('repo')}@{mount['git']['commit']}", "readOnly": True}
    elif isinstance(mount.get("empty_dir"), dict):
        way = {"source": "empty://", "readOnly": False}
    if way is None:
        return None
    try:
        mount_source(way["source"])
    except BadSource:
        return None
    return {"mountPath": mount["mount_path"], **way}


def _map_storage(rest: dict[str, Any], service: dict[str, Any]) -> None:
    """Where a mount says more than ours can, or cannot be mounted, `extra.storage` lists them all, by mount_path."""
    mounts = rest.get("storage", [])
    ours = [mount_of(mount) for mount in mounts]
    left = [mount_rest(mount) if our else mount for mount, our in zip(mounts, ours, strict=True)]
    found = [our for our in ours if our]
    if found:
        service["storage"] = found
    if mounts and all(set(each) == {"mount_path"} for each in left):
        take(rest, ("storage",))
    elif mounts:
        rest["storage"] = left


def mount_rest(mount: Mapping[str, Any]) -> dict[str, Any]:
    """What `mount_of` does not say of a mount."""
    rest = copy.deepcopy(dict(mount))
    for path in (("oss", "path"), ("oss", "readOnly"), ("git", "repo"), ("git", "commit")):
        take(rest, path)
    if rest.get("empty_dir") == {}:
        del rest["empty_dir"]
    return rest


def _map_limits(rest: dict[str, Any], service: dict[str, Any]) -> None:
    limits: dict[str, Any] = {}
    rpc = ("metadata", "rpc")
    if (milliseconds := take(rest, (*rpc, "keepalive"))) is not ABSENT:
        limits["requestSeconds"] = milliseconds // 1000 if milliseconds % 1000 == 0 else milliseconds / 1000
    if (queue := take(rest, (*rpc, "max_queue_size"))) is not ABSENT:
        limits["queue"] = queue
    if (rate := take(rest, (*rpc, "rate_limit"))) is not ABSENT:
        limits["qpsPerReplica"] = rate
    for name, key in (("rate_limit", "qps"), ("concurrency_limit", "concurrency")):
        place = ("networking", "gateway_policy", name)
        policy = get(rest, place)
        if isinstance(policy, dict) and policy.get("enable") is True and "limit" in policy:
            limits[key] = policy["limit"]
            take(rest, (*place, "enable"))
            take(rest, (*place, "limit"))
    if limits:
        service["limits"] = limits


def surge_of(value: Any, replicas: int) -> int | None:
    """EAS's max_surge as replicas: a percent is rounded up, to at least 1. None: it cannot be said."""
    if type(value) is int and value >= 0:
        return value
    match = re.fullmatch(r"(\d{1,3})%", value) if isinstance(value, str) else None
    return max(1, math.ceil(int(match[1]) * replicas / 100)) if match else None


def _map_rollout(rest: dict[str, Any], service: dict[str, Any]) -> None:
    """A surge of 0 is our recreate. A percent stays in `extra`."""
    place = ("metadata", "rolling_strategy", "max_surge")
    value = get(rest, place)
    surge = surge_of(value, service.get("replicas", {}).get("max", 1)) if value is not ABSENT else None
    if surge is None:
        return
    if not isinstance(value, str):
        take(rest, place)
    service["rollout"] = {"surge": surge} if surge else {"strategy": "recreate"}
