"""What is wrong with a model folder ends in one plain line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch

from runtime.contract.version import Trust
from runtime.replica.engines.base import EngineFailed
from runtime.replica.engines.transformers.loading import Loaded, load_model
from runtime.replica.engines.transformers.options import Options
from tests.runtime.replica.engines.transformers.conftest import Models
from tests.runtime.replica.engines.transformers.models import CONTEXT, VOCABULARY


@pytest.fixture
def folder(models: Models, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(models("llama"), tmp_path / "model"))


def load(folder: Path, trust: Trust | None = None, memory_gib: float | None = None) -> Loaded:
    return load_model(folder, Options(), trust or Trust(), memory_gib, lambda detail: None)


def _truncate(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])


def _garble(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\xff" * 4096)


def _lose_a_tensor(folder: Path) -> None:
    file = folder / "model.safetensors"
    tensors = safetensors.torch.load_file(file)
    del tensors["model.layers.1.mlp.up_proj.weight"]
    safetensors.torch.save_file(tensors, file, metadata={"format": "pt"})


def _other_shape(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["intermediate_size"] = 64
    (folder / "config.json").write_text(json.dumps(config))


def _lose_a_shard(folder: Path) -> None:
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def _pickle(folder: Path) -> None:
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    torch.save(tensors, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def _own_code(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "mine.Model"}
    (folder / "config.json").write_text(json.dumps(config))


def _odd_type(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "no-such-thing"}')


@pytest.mark.parametrize(("damage", "text"), [
    (_truncate, "model.safetensors is broken"),
    (_garble, "model.safetensors is broken"),
    (_lose_a_tensor, "1 tensors are missing, the first is model.layers.1.mlp.up_proj.weight"),
    (_other_shape, "cannot be loaded"),
    (_lose_a_shard, "lacks model-00002.safetensors (1 of 2 weight files are missing)"),
    (_pickle, "pytorch_model.bin is a pickle and may run code; convert it to safetensors, or set trust.pickle"),
    (_own_code, "set trust.remoteCode"),
    (_odd_type, "config.json is not understood"),
    (lambda folder: (folder / "config.json").unlink(), "has no config.json"),
    (lambda folder: (folder / "config.json").write_text("{"), "config.json is broken"),
    (lambda folder: (folder / "model.safetensors").unlink(), "holds no weights"),
    (lambda folder: (folder / "tokenizer.json").write_text("{"), "the tokenizer in"),
    (shutil.rmtree, "is not a folder"),
])  # fmt: skip
def test_a_damaged_folder_fails_with_a_plain_line(folder: Path, damage: Callable[[Path], None], text: str) -> None:
    damage(folder)
    with pytest.raises(EngineFailed) as error:
        load(folder)
    assert text in str(error.value)
    assert "\n" not in str(error.value)


def test_weights_larger_than_the_memory_given_fail_before_loading(folder: Path) -> None:
    with pytest.raises(EngineFailed, match=r"out of memory: the weights need 0\.0 GiB"):
        load(folder, memory_gib=1e-6)


def test_a_trusted_pickle_loads(folder: Path) -> None:
    _pickle(folder)
    assert load(folder, Trust(pickle=True)).context == CONTEXT


def test_context_and_end_tokens_come_from_the_model(folder: Path) -> None:
    loaded = load(folder)
    assert (loaded.context, loaded.end_tokens) == (CONTEXT, frozenset({VOCABULARY - 1}))
    assert loaded.model.dtype == torch.float32
