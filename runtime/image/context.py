"""The build context: every file that goes into an image, and the hash that changes with any of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from runtime.image.recipe import ROOT, Recipe
from runtime.image.render import containerfile

PACKAGES = ("catalog", "runtime")
NOT_IN = ("runtime/image",)
"""Builds images and never runs in one: a change of it alone gives the same image."""
REPACKS = (
    "runtime/__init__.py",
    "runtime/contract/__init__.py",
    "runtime/contract/names.py",
    "runtime/contract/paths.py",
    "runtime/replica/sources/embedded.py",
)
"""What repacks the embedded model: these few files alone, so that another change of the sources repacks nothing."""
Files = Mapping[str, bytes]
"""Path in the context to content."""


def parts_files(recipe: Recipe, root: Path = ROOT) -> Files:
    """The context of all but our own sources."""
    files = {
        "Containerfile": containerfile(recipe).encode(),
        "pins/constraints.txt": recipe.constraints.encode(),
        "pins/requirements.txt": "".join(f"{line}\n" for line in recipe.requirements).encode(),
        **{f"model/{name}": (root / name).read_bytes() for name in REPACKS},
    }
    if recipe.engine_requirements:
        files["engine/requirements.txt"] = recipe.engine_requirements.encode()
        files["engine/constraints.txt"] = recipe.engine_constraints.encode()
    return files


def image_files(recipe: Recipe, parts: str, root: Path = ROOT) -> Files:
    """The context of the image on top of the image `parts`."""
    sources = {f"source/{name}": content for name, content in _sources(root).items()}
    return {"Containerfile": containerfile(recipe, parts).encode(), **sources}


def top_files(recipe: Recipe, image: str) -> Files:
    """The context of what `image` has on top of its parts."""
    return {"Containerfile": containerfile(recipe, image=image).encode()}


def context_hash(files: Files) -> str:
    """64 hex digits over names and contents."""
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(f"{name}\0{len(files[name])}\0".encode() + files[name])
    return total.hexdigest()


def write_context(files: Files, folder: Path) -> None:
    """Write the context below `folder`, the same down to modes and times wherever it is written."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o644)
    for path in (*folder.rglob("*"), folder):
        if path.is_dir():
            path.chmod(0o755)
        os.utime(path, (0, 0))


def _sources(root: Path) -> dict[str, bytes]:
    found = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*")):
            name = path.relative_to(root).as_posix()
            if path.is_file() and "__pycache__" not in path.parts and not name.startswith(NOT_IN):
                found[name] = path.read_bytes()
    return found
