"""The runtime's image for pods of the test cluster: where it lies and what builds it."""

from __future__ import annotations

import os
from pathlib import Path

from runtime.contract.paths import cache_folder

BASE = "INFERFORM_TEST_IMAGE_BASE"
"""Names a Debian image that the engine has or can pull; without it debootstrap makes one, once."""


def archive() -> Path:
    """The image of method standard as an OCI archive, in the user's cache."""
    folder = cache_folder() / "images"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / "standard.tar"


def command(python: Path) -> list[str | Path]:
    """Builds it where what goes in has changed: minutes the first time, seconds after a changed source."""
    base = ["--base", named] if (named := os.environ.get(BASE)) else ["--bootstrap"]
    return [python, "-m", "runtime.image", *base, "--output", archive(), "--cached"]
