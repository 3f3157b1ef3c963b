"""The real image of method standard, built once for one content, for the pods of the test cluster."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

from runtime.contract.paths import cache_folder
from runtime.image.build import Built
from tests.cluster.harness.cluster import Cluster
from tools.cluster import control

BASE = "INFERFORM_TEST_IMAGE_BASE"
"""Names a Debian image that the engine has or can pull; without it debootstrap makes one, once."""
READY = "INFERFORM_TEST_IMAGE"
"""Names an image that the node has already, by digest, to be used whatever the sources are now."""
ROOT = Path(__file__).resolve().parents[3]


def built_image() -> tuple[str, Path]:
    """The image's name by digest and its OCI archive; built if what goes in has changed (a changed source: seconds)."""
    built = _build()
    return built.reference, Path(str(built.archive))


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
    folder = cache_folder() / "images"
    folder.mkdir(parents=True, exist_ok=True)
    base = ["--base", named] if (named := os.environ.get(BASE)) else ["--bootstrap"]
    command = [sys.executable, "-m", "runtime.image", *base, "--output", folder / "standard.tar", "--cached"]
    with (folder / "standard.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
    assert done.returncode == 0, "the image could not be built; what it said stands above"
    return Built.from_json(done.stdout)


def _images(cluster: Cluster) -> list[str]:
    return _ctr(cluster, "images", "list", "--quiet").split()


def _ctr(cluster: Cluster, *arguments: str) -> str:
    command = [*control.ctr(cluster.layout), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
