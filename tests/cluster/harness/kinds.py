"""Kinds that the test cluster does not know by itself: real definitions, with nothing behind that acts on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.cluster.harness.cluster import Cluster
from tools import build


@contextmanager
def known(cluster: Cluster, plural: str) -> Iterator[None]:
    """The cluster knows the kind while the block runs; `plural` as in tools/kinds/build.toml."""
    file = str(build.ensure("kinds") / f"{plural}.yaml")
    cluster.kubectl("apply", "--server-side", "-f", file)  # too long for the annotation of the other way
    try:
        cluster.kubectl("wait", "--for=condition=Established", "-f", file, "--timeout=30s")
        yield
    finally:
        cluster.kubectl("delete", "-f", file, "--wait=true")
