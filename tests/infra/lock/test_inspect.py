"""The runtime's own reader, in its own process, against a server of Hugging Face's shape."""

from __future__ import annotations

import asyncio
import json

import pytest

from infra.lock import InspectFailed, inspect_source
from tests.infra.plan.stacks import CATALOG
from tests.runtime.replica.sources.hubs import COMMIT, Hub, huggingface

CONFIG = {**CATALOG.models["Qwen2.5-0.5B-Instruct"].config, "transformers_version": "4.43.1", "bos_token_id": 1}
FILES = {"config.json": json.dumps(CONFIG).encode(), "model.safetensors": bytes(5000), "pytorch_model.bin": b"pickle"}


async def test_a_hub_gives_its_commit_and_what_sizing_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    async with huggingface(Hub(dict(FILES))) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        entry = await asyncio.to_thread(inspect_source, "hf://org/tiny")
    assert (entry.revision, entry.weight_bytes, entry.pickle_only) == (COMMIT, 5000, False)
    assert entry.config == CATALOG.models["Qwen2.5-0.5B-Instruct"].config


async def test_a_model_that_is_not_there_fails_with_the_sources_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    async with huggingface(Hub(dict(FILES))) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        with pytest.raises(InspectFailed, match="hf://org/other"):
            await asyncio.to_thread(inspect_source, "hf://org/other")
