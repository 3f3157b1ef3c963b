"""The command lines and environments of the processes that a host starts."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.contract.version import EngineKind, VersionTemplate
from runtime.host.gpus import VISIBLE


def _replica(spec: Path, nonce: str) -> list[str]:
    return [sys.executable, "-m", "runtime.replica", "--spec", str(spec), "--nonce", nonce]


def _gateway(socket: Path, descriptor: int, nonce: str) -> list[str]:
    arguments = ["--host-socket", str(socket), "--fd", str(descriptor), "--nonce", nonce]
    return [sys.executable, "-m", "runtime.gateway", *arguments]


@dataclass(frozen=True)
class Commands:
    """How processes are started. Every command line must carry `--nonce NONCE` and no secret."""

    replica: Callable[[Path, str], list[str]] = _replica
    gateway: Callable[[Path, int, str], list[str]] = _gateway


def base_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What every process inherits: the host's own environment without what belongs to Pulumi (its passphrase, say)."""
    kept = {name: value for name, value in environment.items() if not name.startswith("PULUMI_")}
    return {**kept, "PYTHONUNBUFFERED": "1"}


def replica_environment(
    environment: Mapping[str, str], template: VersionTemplate, gpus: Sequence[str] | None
) -> dict[str, str]:
    """A replica's environment; `template.env` has the last word.

    Threads: the cores it asked for, or all of them. GPUs: those it was given; None: this machine has none.
    """
    cores = len(os.sched_getaffinity(0))
    threads = cores if template.cpus is None else max(1, min(cores, math.ceil(template.cpus)))
    if template.engine is EngineKind.SCRIPTED:
        threads = 1
    bounded = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    visible = {} if gpus is None else {VISIBLE: ",".join(gpus)}
    # A fork after the tokenizer has made threads would only print warnings into the log.
    return {**base_environment(environment), **bounded, "TOKENIZERS_PARALLELISM": "false", **visible, **template.env}
