"""What every pod of ours has: nothing that the restricted Pod Security Standard forbids. Pure."""

from __future__ import annotations

from typing import Any

from runtime.contract.cluster import HOME, TERMINATION_LOG_ENV, USER
from runtime.contract.version import VersionTemplate

TERMINATION_LOG = "/dev/termination-log"


def pod_security() -> dict[str, Any]:
    """A pod's securityContext: an ordinary user, and volumes that it may read."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> dict[str, Any]:
    """A container's securityContext: no rights to gain, no file of the image to change."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


def from_pod(**fields: str) -> list[dict[str, Any]]:
    """Environment variables by the downward API: `POD_NAME="metadata.name"`."""
    return [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()]


def declared_environment(template: VersionTemplate) -> list[dict[str, Any]]:
    """`env` of the stack file, to the letter: `$(NAME)` would be expanded otherwise."""
    return [{"name": name, "value": value.replace("$(", "$$(")} for name, value in sorted(template.env.items())]


def process_environment() -> list[dict[str, Any]]:
    """What our processes need to know of where they are."""
    return [{"name": "HOME", "value": HOME}, {"name": TERMINATION_LOG_ENV, "value": TERMINATION_LOG}]


def writable() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(volumes, mounts): what a process may write, for the rest of its file system is read-only."""
    volumes = [{"name": "home", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}]
    mounts = [{"name": "home", "mountPath": HOME}, {"name": "tmp", "mountPath": "/tmp"}]
    return volumes, mounts


def spread(match: dict[str, str]) -> list[dict[str, Any]]:
    """Over nodes, where there is a choice."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": match},
        }
    ]
