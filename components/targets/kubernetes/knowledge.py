"""A service's declared documents as one ConfigMap. Effect: reads the files.

It has the service's name, not its content's: replicas see new documents in place, and no version changes for them. The
route's digest tells them what to expect.
"""

from __future__ import annotations

import base64
from pathlib import Path

from components.targets.kubernetes.manifest import Manifest, metadata
from infra.plan import ServicePlan
from infra.plan.documents import documents_digest, packed_documents
from runtime.contract.cluster import KNOWLEDGE_FILE, KNOWLEDGE_KEY, knowledge_name
from runtime.contract.replica import Knowledge


def documents_config_map(namespace: str, service: str, folder: Path) -> Manifest:
    """The documents, packed."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(knowledge_name(service), namespace, "knowledge", service=service),
        "binaryData": {KNOWLEDGE_KEY: base64.b64encode(packed_documents(folder)).decode()},
    }


def knowledge(plan: ServicePlan) -> Knowledge | None:
    """Where replicas find the documents, and what they have to find there."""
    if plan.knowledge is None:
        return None
    return Knowledge(folder=KNOWLEDGE_FILE, digest=documents_digest(Path(plan.knowledge)))
