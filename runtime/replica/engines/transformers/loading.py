"""A model folder to a model in memory, or one plain line that says what is wrong with it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import safetensors
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from runtime.contract.version import Trust
from runtime.replica.engines.base import EngineFailed
from runtime.replica.engines.transformers.options import Options

_BLOCK = 16 << 20
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to run."""

    model: PreTrainedModel
    tokenizer: Any
    context: int  # tokens, the model's own limit
    end_tokens: frozenset[int]


def load_model(
    folder: Path, options: Options, trust: Trust, memory_gib: float | None, progress: Callable[[str], None]
) -> Loaded:
    """Load weights and tokenizer. `progress` gets details such as `120 of 269 MB`. Raises EngineFailed."""
    config = _config(folder, trust)
    files = weight_files(folder, trust)
    _check_memory(files, memory_gib)
    _read_ahead(files, progress)
    transformers.utils.logging.disable_progress_bar()
    dtype = "auto" if options.dtype == "auto" else getattr(torch, options.dtype)
    try:
        model, info = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=trust.remote_code,
            use_safetensors=None if trust.pickle else True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, KeyError, MemoryError, safetensors.SafetensorError) as error:
        raise EngineFailed(f"the model in {folder} cannot be loaded: {_line(error)}") from error
    if missing := sorted(info["missing_keys"]):
        raise EngineFailed(
            f"the weights in {folder} are incomplete: {len(missing)} tensors are missing, the first is {missing[0]}"
        )
    model = model.eval().to(_device(options))
    return Loaded(model, _tokenizer(folder, trust), _context(config), _end_tokens(model))


def weight_files(folder: Path, trust: Trust) -> list[Path]:
    """The files that hold the weights; every safetensors file's header and size are checked."""
    index = folder / "model.safetensors.index.json"
    if index.exists():
        try:
            names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        except (ValueError, KeyError, AttributeError) as error:
            raise EngineFailed(f"{index} is broken: {_line(error)}") from error
        if absent := [name for name in names if not (folder / name).exists()]:
            raise EngineFailed(f"{folder} lacks {absent[0]} ({len(absent)} of {len(names)} weight files are missing)")
        files = [folder / name for name in names]
    else:
        files = sorted(folder.glob("*.safetensors"))
    if not files:
        pickles = sorted(path for pattern in _PICKLES for path in folder.glob(pattern))
        if not pickles:
            raise EngineFailed(f"{folder} holds no weights (no .safetensors file)")
        if not trust.pickle:
            raise EngineFailed(
                f"{pickles[0].name} is a pickle and may run code; convert it to safetensors, or set trust.pickle"
            )
        return pickles
    for file in files:
        try:
            with safetensors.safe_open(file, framework="pt"):  # reads the header and compares it with the file's size
                pass
        except (safetensors.SafetensorError, OSError) as error:
            raise EngineFailed(f"{file} is broken: {_line(error)}") from error
    return files


def _config(folder: Path, trust: Trust) -> Any:
    if not folder.is_dir():
        raise EngineFailed(f"{folder} is not a folder")
    if not (folder / "config.json").exists():
        raise EngineFailed(f"{folder} has no config.json: not a Hugging Face model folder")
    try:
        raw = json.loads((folder / "config.json").read_text())
    except ValueError as error:
        raise EngineFailed(f"{folder / 'config.json'} is broken: {_line(error)}") from error
    if isinstance(raw, dict) and raw.get("auto_map") and not trust.remote_code:
        raise EngineFailed(f"the model in {folder} brings its own code; set trust.remoteCode to run it")
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=trust.remote_code)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EngineFailed(f"{folder / 'config.json'} is not understood: {_line(error)}") from error


def _tokenizer(folder: Path, trust: Trust) -> Any:
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=trust.remote_code)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EngineFailed(f"the tokenizer in {folder} cannot be loaded: {_line(error)}") from error


def _check_memory(files: list[Path], memory_gib: float | None) -> None:
    need = sum(file.stat().st_size for file in files)
    free = psutil.virtual_memory().available
    if memory_gib is not None:
        free = min(free, int(memory_gib * 2**30))
    if need > free:
        raise EngineFailed(
            f"out of memory: the weights need {need / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are available"
        )


def _read_ahead(files: list[Path], progress: Callable[[str], None]) -> None:
    """Read the files once, so that a slow disk shows as progress and loading finds them in the page cache."""
    total = sum(file.stat().st_size for file in files)
    done = 0
    buffer = bytearray(_BLOCK)
    for file in files:
        with file.open("rb", buffering=0) as stream:
            while size := stream.readinto(buffer):
                done += size
                progress(f"{done // 10**6} of {total // 10**6} MB")


def _device(options: Options) -> torch.device:
    if options.device == "cuda" and not torch.cuda.is_available():
        raise EngineFailed("engineArgs.device: cuda was asked for, this machine shows no CUDA GPU")
    if options.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(options.device)


def _context(config: Any) -> int:
    text = config.get_text_config(decoder=True)
    for name in ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length"):
        if isinstance(value := getattr(text, name, None), int) and value > 0:
            return value
    return 1 << 20  # no limit of its own (state space models)


def _end_tokens(model: PreTrainedModel) -> frozenset[int]:
    ends: set[int] = set()
    for source in (model.generation_config, model.config):
        value = getattr(source, "eos_token_id", None)
        if isinstance(value, int):
            ends.add(value)
        elif isinstance(value, (list, tuple)):
            ends.update(value)
    return frozenset(ends)


def _line(error: BaseException) -> str:
    text = str(error).strip()
    return " ".join(text.split())[:300] if text else type(error).__name__


def usable_cores(cpus: float | None) -> int:
    """Threads for torch: the cores that this replica may use."""
    usable = len(os.sched_getaffinity(0))
    return max(1, min(usable, int(cpus)) if cpus else usable)
