"""What an autoscaler of the cluster cannot do of what a stack file may say about replicas. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from infra.stackfile.errors import Location, StackFileError, dotted
from infra.stackfile.services import Service

LONGEST_WINDOW = 3600
"""Seconds: what an HPA, and KEDA's, takes."""
GATEWAY = "autoscaler: gateway can"


def check_autoscaler(service: Service, path: Location) -> Iterator[StackFileError]:
    """The errors of a service with `autoscaler: hpa` or `keda`.

    1. A count that moves needs a target to move it. 2. An HPA has no zero. 3. Neither has cron jobs.
    4. Their windows have a longest.
    """
    if service.autoscaler == "gateway":
        return
    by = service.autoscaler
    for name, version in service.versions.items():
        replicas, at = version.replicas, (*path, "versions", name, "replicas")
        if by == "hpa" and replicas.min < 1:
            hint = f"the nearest is 1; {GATEWAY} scale to zero, and so can keda"
            yield StackFileError(path=dotted((*at, "min")), value=0, reason="an HPA has at least 1", nearest=hint)
        if replicas.target is None and (replicas.max > replicas.min or replicas.min < 1):
            reason = f"is missing: {by} moves the count by it"
            yield StackFileError(path=dotted((*at, "target")), reason=reason, nearest="for example {concurrency: 4}")
        if replicas.cron:
            reason = f"is nothing that {by} follows here"
            yield StackFileError(path=dotted((*at, "cron")), reason=reason, nearest=f"{GATEWAY} follow it")
        windows = {"scaleUpSeconds": replicas.scale_up_seconds, "scaleDownSeconds": replicas.scale_down_seconds}
        for key, seconds in windows.items():
            if seconds > LONGEST_WINDOW:
                reason, hint = f"is above what {by} takes", f"the nearest is {LONGEST_WINDOW}"
                yield StackFileError(path=dotted((*at, key)), value=seconds, reason=reason, nearest=hint)
