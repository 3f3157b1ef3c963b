"""A cluster in a thread, and clients of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra.cluster import ClusterClient, Connections
from runtime.contract.cluster import ClusterAddress
from runtime.kubeapi import Access, Blocking
from tests.infra.cluster.fake_cluster import NAMESPACE, ClusterThread
from tests.runtime.kubeapi.fake_api import Token

ADDRESS = ClusterAddress(namespace=NAMESPACE, context="test")
STACK = "proj.dev"


def connections_to(url: str) -> Connections:
    async def access() -> Access:
        return Access(server=url, credentials=Token())

    return Connections(lambda address: Blocking(access))


@pytest.fixture
def thread() -> Iterator[ClusterThread]:
    made = ClusterThread()
    yield made
    made.close()


@pytest.fixture
def connections(thread: ClusterThread) -> Iterator[Connections]:
    made = connections_to(thread.url)
    yield made
    made.close()


@pytest.fixture
def client(thread: ClusterThread, connections: Connections) -> ClusterClient:
    """A writer in a namespace of its stack, with one gateway."""
    reader = ClusterClient(ADDRESS, connections=connections)
    reader.ensure_namespace(STACK, pod_security=True)
    thread.do(thread.cluster.gateway)
    thread.serve_gateway()
    return reader.with_epoch(reader.new_epoch(stack=STACK))
