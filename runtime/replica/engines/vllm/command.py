"""What vLLM's server is started with: a pure function of the version and of where things lie."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog import argument_problems, command_line
from runtime.contract.version import VersionTemplate
from runtime.replica.engines.base import EngineFailed

GIB = 1024**3
DEFAULT_ALIAS = "default"
"""EAS clients send it when they mean the only model that is served (eas-protocols.md section 8)."""


@dataclass(frozen=True, slots=True)
class Start:
    """A command line and the environment variables it adds."""

    words: tuple[str, ...]
    environment: Mapping[str, str]


def served_names(template: VersionTemplate) -> tuple[str, ...]:
    """What clients may call the model: its name first, then EAS's alias, then the paths it is mounted at."""
    name = template.model.name if template.model is not None else DEFAULT_ALIAS
    return tuple(dict.fromkeys((name, DEFAULT_ALIAS, *(mount.mount_path for mount in template.storage))))


def start_of(
    template: VersionTemplate,
    *,
    python: Path,
    folder: Path,
    adapters: Mapping[str, Path],
    socket: Path,
    context: int,
    config: Mapping[str, Any],
) -> Start:
    """The server's command line. `config`: the model's config.json. Raises EngineFailed for arguments vLLM has not."""
    if problems := argument_problems("vllm", template.engine_args):
        one = problems[0]
        hint = f", did you mean {one.nearest}?" if one.nearest else ""
        raise EngineFailed(f"engineArgs.{one.key}: {one.value!r} {one.reason}{hint}")
    words = [str(python), "-m", "vllm.entrypoints.openai.api_server", "--uds", str(socket)]
    words += ["--uvicorn-log-level", "warning"]
    words += ["--model", str(folder), "--served-model-name", *served_names(template)]
    words += ["--max-model-len", str(context), "--max-num-seqs", str(template.concurrency)]
    if template.trust.remote_code:
        words.append("--trust-remote-code")
    if adapters:
        # max-loras: all of them at once in a batch; a request never waits for another's adapter.
        words += ["--enable-lora", "--max-loras", str(len(adapters)), "--lora-modules"]
        words += [json.dumps({"name": name, "path": str(path)}) for name, path in sorted(adapters.items())]
    words += command_line("vllm", template.engine_args)
    environment = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "VLLM_LOGGING_COLOR": "0"}
    if not template.gpus:
        space = kv_bytes_per_token(config) * context * template.concurrency
        environment["VLLM_CPU_KVCACHE_SPACE"] = str(max(1, math.ceil(space / GIB)))
        # Bound cores would put two replicas of one machine on the same ones.
        environment |= {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": str(max(1, int(template.cpus or 1)))}
    return Start(tuple(words), environment)


def kv_bytes_per_token(config: Mapping[str, Any]) -> int:
    """Bytes of keys and values of one token in 16 bit, from a config.json; 0 where it does not say."""
    heads = int(config.get("num_attention_heads") or 0)
    if not heads:
        return 0
    size = int(config.get("head_dim") or int(config.get("hidden_size") or 0) // heads)
    layers = int(config.get("num_hidden_layers") or 0)
    return 2 * 2 * layers * int(config.get("num_key_value_heads") or heads) * size
