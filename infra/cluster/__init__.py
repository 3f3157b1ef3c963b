"""A stack on a Kubernetes cluster: its rows, its pods, its gateways' reports; what `HostClient` is for a local host.

Note: docs/designs/kubernetes-target.md
"""

from __future__ import annotations

from infra.cluster.client import ClusterClient
from infra.cluster.connect import Connections
from infra.cluster.namespace import NamespaceState
from infra.cluster.needs import Needs

__all__ = ["ClusterClient", "Connections", "NamespaceState", "Needs"]
