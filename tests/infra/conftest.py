"""A cluster in a thread, and connections to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra.cluster import Connections
from runtime.kubeapi import Access, Blocking
from tests.infra.cluster.fake_cluster import ClusterThread
from tests.runtime.kubeapi.fake_api import Token


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
