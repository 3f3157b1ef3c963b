"""A service's declared documents as one ConfigMap. Effect: reads the files.

It has the service's name, not its content's: replicas see new documents in place, and no version changes for them. The
route's digest tells them what to expect.
"""

from __future__ import annotations

import base64
from pathlib import Path

from components.targets.kubernetes.manifest import Manifest, metadata
from infra.plan.documents import packed_documents
from runtime.contract.cluster import KNOWLEDGE_KEY, knowledge_name


def documents_config_map(namespace: str, service: str, folder: Path) -> Manifest:
    """The documents, packed."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(knowledge_name(service), namespace, "knowledge", service=service),
        "binaryData": {KNOWLEDGE_KEY: base64.b64encode(packed_documents(folder)).decode()},
    }
