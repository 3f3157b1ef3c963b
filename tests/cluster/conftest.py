"""Fixtures of the behaviours on a cluster. What is missing for a cluster fails the tests, it does not skip them."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.harness import Balancer, Cluster, ClusterProject, Namespace
from tests.cluster.harness.image import load_image
from tools import build
from tools.cluster import control
from tools.cluster.layout import Layout

RUNNING = "INFERFORM_TEST_CLUSTER"
"""Names the state folder of a cluster to use; it is left running, and swept of what tests made."""
OWN = "ifc-"


LONGEST_SECONDS = 900
"""Of one test here: a cluster, an image and several runs of Pulumi on two cores."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests on a cluster may take longer than others."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(LONGEST_SECONDS))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster: of this run's own, which ends with it however it ends, or the one that RUNNING names."""
    if running := os.environ.get(RUNNING):
        yield Cluster(control.needed(Path(running)))
        return
    sweep()
    # In a short folder: unix sockets have at most 107 bytes of path.
    state = Path(tempfile.mkdtemp(prefix=OWN, dir="/tmp"))
    try:
        yield Cluster(start(state))
    finally:
        control.down(state)
        shutil.rmtree(state, ignore_errors=True)


def start(state: Path) -> Layout:
    """Bring a cluster up that does not outlive this process."""
    return control.up(state, build.ensure("cluster"), build.ensure("pause") / "pause", bound=True)


def sweep() -> None:
    """Remove what clusters of runs that were killed have left."""
    for state in Path("/tmp").glob(f"{OWN}*"):
        if (state / "cluster.json").exists() and control.running_record(state) is None:
            control.down(state)


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """A namespace of the test's own."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:50].strip("-")
    made = Namespace(cluster, f"{name}-{os.getpid()}")
    yield made
    made.delete()


@pytest.fixture
def fake_nodes(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster, rid of all fake nodes before and after the test."""
    cluster.remove_fake_nodes()
    yield cluster
    cluster.remove_fake_nodes()


@pytest.fixture
def balancer(cluster: Cluster) -> Iterator[Balancer]:
    """Gives services of type LoadBalancer an address, as a cloud would."""
    with Balancer(cluster) as working:
        yield working


@pytest.fixture(scope="session")
def image(cluster: Cluster) -> str:
    """The runtime's image, on the cluster's node; its name by digest."""
    return load_image(cluster)


@pytest.fixture
def project(cluster: Cluster, image: str) -> Iterator[ClusterProject]:
    """A throw-away Pulumi project that targets the cluster; its end destroys the stack and looks at what is left."""
    with tempfile.TemporaryDirectory(prefix="ifp-") as folder, ClusterProject(Path(folder), cluster) as made:
        made.changes_of_target["image"] = image
        yield made
