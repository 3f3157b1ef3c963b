"""Where things lie on one machine: pure functions of the state folder, the user and the environment."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from runtime.contract.names import CACHE_ENV, VLLM_PYTHON_ENV


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """The user's cache folder of Inferform: models under `models/`, built tools under `tools/`."""
    if own := environment.get(CACHE_ENV):
        return Path(own)
    base = environment.get("XDG_CACHE_HOME") or str(Path(environment.get("HOME", "~")).expanduser() / ".cache")
    return Path(base) / "inferform"


def vllm_python(environment: Mapping[str, str] = os.environ) -> Path:
    """The interpreter of vLLM's own virtual environment, made by `scripts/setup --vllm`: its pins clash with ours."""
    return Path(environment.get(VLLM_PYTHON_ENV) or cache_folder(environment) / "venvs" / "vllm" / "bin" / "python")


def runtime_folder(state: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """The folder of one host's sockets (0700). Short on purpose: a unix socket's path has at most 107 bytes.

    Derived from the absolute state folder alone, so that the plugin, the CLI and the host agree without asking.
    """
    digest = hashlib.sha256(str(state.absolute()).encode()).hexdigest()[:12]
    base = environment.get("XDG_RUNTIME_DIR")
    parent = Path(base) / "inferform" if base else Path("/tmp") / f"inferform-{os.getuid()}"
    return parent / digest


def host_socket(state: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """The unix socket of the host's admin API for this state folder."""
    return runtime_folder(state, environment) / "host.sock"
