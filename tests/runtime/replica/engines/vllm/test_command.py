"""The command line of vLLM's server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runtime.contract.version import EngineKind, Method, ModelReference, Mount, VersionTemplate
from runtime.replica.engines.base import EngineFailed
from runtime.replica.engines.vllm.command import Start, kv_bytes_per_token, start_of

CONFIG = {"num_attention_heads": 8, "hidden_size": 512, "num_hidden_layers": 4, "num_key_value_heads": 2}


def start(**changes: Any) -> Start:
    adapters = changes.pop("adapter_folders", {})
    model = ModelReference(name="tiny", source="/models/tiny", digest="d")
    template = VersionTemplate(method=Method.VLLM, engine=EngineKind.VLLM, model=model, **changes)
    return start_of(
        template,
        python=Path("/venv/bin/python"),
        folder=Path("/models/tiny"),
        adapters=adapters,
        socket=Path("/run/v.sock"),
        context=1024,
        config=CONFIG,
    )


def test_the_model_is_served_by_its_name_by_default_and_by_its_mount() -> None:
    words = start(storage=(Mount(mount_path="/model_dir", source="/models/tiny"),)).words
    at = words.index("--served-model-name")
    assert words[at + 1 : at + 4] == ("tiny", "default", "/model_dir")


def test_engine_arguments_become_flags() -> None:
    words = start(engine_args={"enforceEager": True, "enablePrefixCaching": False, "seed": 3}).words
    assert "--enforce-eager" in words
    assert "--no-enable-prefix-caching" in words
    assert words[words.index("--seed") + 1] == "3"


def test_an_argument_that_vllm_has_not_names_the_nearest() -> None:
    with pytest.raises(EngineFailed, match=r"engineArgs\.enablePrefixCashing.*did you mean enablePrefixCaching"):
        start(engine_args={"enablePrefixCashing": True})


def test_on_a_cpu_the_kv_cache_gets_what_context_and_concurrency_need() -> None:
    assert kv_bytes_per_token(CONFIG) == 2 * 2 * 4 * 2 * 64
    assert start(concurrency=1024).environment["VLLM_CPU_KVCACHE_SPACE"] == "2"
    assert "VLLM_CPU_KVCACHE_SPACE" not in start(gpus=1).environment


def test_adapters_are_loaded_at_the_start() -> None:
    words = start(adapter_folders={"legal": Path("/adapters/legal")}).words
    assert words[words.index("--lora-modules") + 1] == '{"name": "legal", "path": "/adapters/legal"}'
