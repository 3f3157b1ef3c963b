"""What an EAS service may say and what may surprise all the same. Of the documented form. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from infra.stackfile.eas.launch import SUFFIXES
from infra.stackfile.eas.tree import get
from infra.stackfile.errors import ABSENT, StackFileError

MANY_REPLICAS = 1000
METRICS = r"qps|qps1k|cpu|gpu|memory|queue\[.*\]|custom\[.*\](@.*)?"


def surprises(document: Mapping[str, Any]) -> Iterator[StackFileError]:
    """Warnings about a file that `check` has nothing against; `fates` reports what has no meaning here."""
    metadata = document.get("metadata", {})
    places = (get(document, ("cloud", "computing", "instances")), metadata.get("resource"), metadata.get("quota_id"))
    if not any(place is not ABSENT and place is not None for place in places):
        yield _warn("cloud.computing", ABSENT, "is missing; the sizes of metadata choose a public instance type")
    keepalive = get(metadata, ("rpc", "keepalive"))
    if isinstance(keepalive, int) and keepalive < 1000:
        yield _warn("metadata.rpc.keepalive", keepalive, "is in milliseconds: less than a second for a request")
    scaler = document.get("autoscaler", {})
    if scaler.get("max", 0) > MANY_REPLICAS:
        yield _warn("autoscaler.max", scaler["max"], f"is above {MANY_REPLICAS}, EAS's own limit of today")
    if "min" in scaler and scaler.get("min") == scaler.get("max"):
        yield _warn("autoscaler", scaler["min"], "min and max are the same: it cannot scale")
    gateway = get(document, ("networking", "gateway"))
    if gateway is not ABSENT and scaler.get("min") == 0:
        yield _warn("autoscaler.min", 0, "a dedicated gateway of EAS cannot scale to zero; here it works")
    for index, strategy in enumerate(scaler.get("scaleStrategies", [])):
        if not re.fullmatch(METRICS, str(strategy.get("metricName"))):
            known = "qps, qps1k, cpu, gpu, memory, queue[avgbacklog], custom[NAME]"
            yield _warn(
                f"autoscaler.scaleStrategies[{index}].metricName",
                strategy.get("metricName"),
                "is no metric of EAS",
                known,
            )
    if gateway is not ABSENT and get(document, ("cloud", "networking")) is ABSENT:
        yield _warn("networking.gateway", gateway, "a dedicated gateway needs cloud.networking on EAS")
    containers = document.get("containers", [])
    image = str(containers[0].get("image", "")) if containers else ""
    if any(suffix in image for suffix in SUFFIXES) and not document.get("storage"):
        yield _warn("storage", ABSENT, "is missing: the official image then downloads the model at each start")
    if containers and "sglang" in f"{image} {containers[0].get('command', '')} {containers[0].get('script', '')}":
        yield _warn("containers[0]", ABSENT, "runs SGLang, which is no engine here: it becomes a process")
    for variable in containers[0].get("env", []) if containers else []:
        name = str(variable.get("name", "")) if isinstance(variable, dict) else ""
        if re.search(r"TOKEN|PASSWORD|SECRET|CREDENTIAL|ACCESS_?KEY", name.upper()):
            yield _warn(
                "containers[0].env", name, "looks like a secret, and would stand in the stack file as plain text"
            )


def _warn(path: str, value: Any, reason: str, hint: str = "") -> StackFileError:
    return StackFileError(path=path, value=value, reason=reason, nearest=hint)
