"""The probes of a replica's container: ours, and those that a version declares. Pure.

A container has one startup, one liveness and one readiness probe:
1. Nothing declared: startup waits until the process listens, liveness asks whether it still does, readiness whether the
   engine answers.
2. A declared check takes the place of ours. One by `httpPath` goes through the replica's own check path, which needs no
   token and fails until the engine answers.
3. With a declared liveness or readiness check our startup probe waits for the engine: neither is asked before, and a
   container is not ready before. (A declared startup beside a readiness check that is no `httpPath` is an error of the
   plan: nothing would ask for the engine.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runtime.contract.cluster import REPLICA_PORT
from runtime.contract.names import CHECK_PATH, READY_PATH, STATUS_PATH
from runtime.contract.version import Probe

IMPORT_SECONDS = 300
"""From the container's start until its process listens: imports from a cold disk."""
START_SECONDS = 7200
"""Until the engine answers. The clocks that a user sets are the Rollout's; this is the end of a start without one."""


def probes(declared: Mapping[str, Probe]) -> dict[str, Any]:
    """`startupProbe`, `livenessProbe`, `readinessProbe` of a container."""
    listens = {**_http(STATUS_PATH), "periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": IMPORT_SECONDS // 2}
    engine = {**_http(READY_PATH), "periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": START_SECONDS // 2}
    lives = {**_http(STATUS_PATH), "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6}
    ready = {**_http(READY_PATH), "periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": 2}
    own = {name: _declared(probe) for name, probe in declared.items()}
    return {
        "startupProbe": own.get("startup") or (engine if own else listens),
        "livenessProbe": own.get("liveness") or lives,
        "readinessProbe": own.get("readiness") or ready,
    }


def _http(path: str) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": REPLICA_PORT}}


def _declared(probe: Probe) -> dict[str, Any]:
    if probe.http_path is not None:
        way = _http(f"{CHECK_PATH}{probe.http_path}")
    elif probe.tcp_port is not None:
        way = {"tcpSocket": {"port": probe.tcp_port}}
    else:
        way = {"exec": {"command": list(probe.command or ())}}
    return {
        **way,
        "initialDelaySeconds": probe.initial_delay_seconds,
        "periodSeconds": probe.period_seconds,
        "timeoutSeconds": probe.timeout_seconds,
        "successThreshold": probe.success_threshold,
        "failureThreshold": probe.failure_threshold,
    }
