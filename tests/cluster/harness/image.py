"""The real image of method standard, built once for one content, for the pods of the test cluster."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

from runtime.image.build import Built
from tests.cluster.harness.cluster import Cluster
from tools import image
from tools.cluster import control

READY = "INFERFORM_TEST_IMAGE"
"""Names an image that the node has already, by digest, to be used whatever the sources are now."""
ROOT = Path(__file__).resolve().parents[3]


def load_image(cluster: Cluster) -> str:
    """Build it and put it on the cluster's node; its name by digest, which `target.image` takes."""
    if ready := os.environ.get(READY):
        return ready
    built = _build()
    known = set(_images(cluster))
    if built.tag not in known:
        cluster.load(Path(str(built.archive)))
    if built.reference not in known:
        # Only a pull gives an image its name by digest by itself.
        _ctr(cluster, "images", "tag", built.tag, built.reference)
    return built.reference


def _build() -> Built:
    with image.archive().with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(image.command(Path(sys.executable)), cwd=ROOT, stdout=subprocess.PIPE, check=False)
    assert done.returncode == 0, "the image could not be built; what it said stands above"
    return Built.from_json(done.stdout)


def _images(cluster: Cluster) -> list[str]:
    return _ctr(cluster, "images", "list", "--quiet").split()


def _ctr(cluster: Cluster, *arguments: str) -> str:
    command = [*control.ctr(cluster.layout), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
