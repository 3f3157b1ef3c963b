"""Clients of a cluster in a thread."""

from __future__ import annotations

import pytest

from infra.cluster import ClusterClient, Connections
from runtime.contract.cluster import ClusterAddress
from tests.infra.cluster.fake_cluster import NAMESPACE, ClusterThread

ADDRESS = ClusterAddress(namespace=NAMESPACE, context="test")
STACK = "proj.dev"


@pytest.fixture
def client(thread: ClusterThread, connections: Connections) -> ClusterClient:
    """A writer in a namespace of its stack, with one gateway."""
    reader = ClusterClient(ADDRESS, connections=connections)
    reader.ensure_namespace(STACK, pod_security=True)
    thread.do(thread.cluster.gateway)
    thread.serve_gateway()
    return reader.with_epoch(reader.new_epoch(stack=STACK))
