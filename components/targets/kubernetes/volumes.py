"""What a replica's pod has mounted: its spec, its settings, documents, claims, shared memory. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from infra.plan import VersionPlan
from runtime.contract.cluster import (
    CLAIM_FOLDER,
    ETC,
    KNOWLEDGE_FILE,
    KNOWLEDGE_KEY,
    REPLICA_KEY,
    REPLICA_KEY_FILE,
    ROUTE_FILE,
    ROUTE_KEY,
    SETTINGS,
    TOKENS,
    TOKENS_FILE,
    knowledge_name,
    route_name,
    spec_name,
)
from runtime.contract.mounts import CLAIM, SHARED_MEMORY


@dataclass
class Volumes:
    """Volumes of a pod and their mounts in its container."""

    volumes: list[dict[str, Any]] = field(default_factory=list)
    mounts: list[dict[str, Any]] = field(default_factory=list)

    def add(self, name: str, path: str, source: dict[str, Any], **more: Any) -> None:
        """One volume at one path."""
        self.volumes.append({"name": name, **source})
        self.mounts.append({"name": name, "mountPath": path, **more})


def volumes(service: str, version: VersionPlan) -> Volumes:
    """All of them. What may not be there yet (a route, documents) is optional, so that it needs no other template."""
    made = Volumes()
    spec = {"configMap": {"name": spec_name(service, version.hash)}}
    made.add("spec", f"{ETC}/spec", spec, readOnly=True)
    token = {"name": TOKENS, "items": [{"key": service, "path": TOKENS_FILE}]}
    route = {"name": route_name(service), "optional": True, "items": [{"key": ROUTE_KEY, "path": ROUTE_FILE}]}
    settings = {"projected": {"sources": [{"secret": token}, {"configMap": route}]}}
    made.add("settings", SETTINGS, settings, readOnly=True)
    folder, _, file = REPLICA_KEY_FILE.rpartition("/")
    key = {"secret": {"secretName": TOKENS, "items": [{"key": REPLICA_KEY, "path": file}]}}
    made.add("key", folder, key, readOnly=True)
    documents = {"name": knowledge_name(service), "optional": True}
    documents["items"] = [{"key": KNOWLEDGE_KEY, "path": KNOWLEDGE_KEY}]
    made.add("knowledge", KNOWLEDGE_FILE.rpartition("/")[0], {"configMap": documents}, readOnly=True)
    if claim := version.template.model_cache:
        made.add("model", CLAIM_FOLDER, {"persistentVolumeClaim": {"claimName": claim}})
    _claims(version, made)
    if version.template.gpus or any(mount.mount_path == SHARED_MEMORY for mount in version.template.storage):
        made.add("shared-memory", SHARED_MEMORY, {"emptyDir": {"medium": "Memory"}})
    return made


def _claims(version: VersionPlan, made: Volumes) -> None:
    """`pvc://CLAIM[/PATH]` mounts; two of one claim are one volume."""
    names: dict[str, str] = {}
    for mount in version.template.storage:
        if not mount.source.startswith(CLAIM):
            continue
        claim, _, path = mount.source.removeprefix(CLAIM).partition("/")
        if claim not in names:
            names[claim] = f"claim-{len(names)}"
            made.volumes.append({"name": names[claim], "persistentVolumeClaim": {"claimName": claim}})
        below = {"subPath": path} if path else {}
        made.mounts.append({"name": names[claim], "mountPath": mount.mount_path, **below, "readOnly": mount.read_only})
