"""A model folder on this machine: its config.json, its weights' bytes, its content digest.

Effects: reads files, keeps digests in the user's cache. Digests are remembered by path, size and modification time, so
that a second plan reads no weights.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.contract.paths import cache_folder
from runtime.contract.tree import content_digest, files_below, tree_digest

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
TRAINING = ("training_args", "optimizer", "scheduler")
ADAPTER = "adapter_config.json"
LEFT_OUT = ("README.md", "LICENSE", ".gitattributes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """What a model folder holds. `problem` says in one line why it is no model folder; the rest is then empty."""

    path: Path
    config: Mapping[str, Any]
    weight_bytes: int = 0
    pickle_only: bool = False
    remote_code: bool = False
    adapter: bool = False
    """It holds a LoRA adapter (adapter_config.json), no model."""
    digest: str = ""
    problem: str = ""


def read_folder(path: Path, *, cache: Path | None = None) -> Folder:
    """Read a Hugging Face style model folder. Never raises for what it finds there: see `Folder.problem`."""
    try:
        return _read(path, (cache or cache_folder()) / "digests.json")
    except (OSError, json.JSONDecodeError) as problem:
        return Folder(path=path, config={}, problem=str(problem))


def digest_folder(path: Path, *, cache: Path | None = None) -> str:
    """The digest of everything below a folder, which need not hold a model. Raises OSError."""
    return _digest(path, list(files_below(path)), (cache or cache_folder()) / "digests.json")


def _read(path: Path, memory: Path) -> Folder:
    if (path / ADAPTER).is_file():
        files = sorted(_files(path))
        size = sum((path / name).stat().st_size for name in files if name.endswith(".safetensors"))
        problem = "" if size else f"{path} has no *.safetensors"
        digest = _digest(path, [name for name in files if name not in LEFT_OUT], memory)
        return Folder(path=path, config={}, weight_bytes=size, adapter=True, digest=digest, problem=problem)
    if not (path / "config.json").is_file():
        return Folder(path=path, config={}, problem=f"{path} has no config.json")
    config = json.loads((path / "config.json").read_text())
    if not isinstance(config, dict):
        return Folder(path=path, config={}, problem=f"{path / 'config.json'} is no JSON object")
    files = sorted(_files(path))
    safe = [name for name in files if name.endswith(".safetensors")]
    pickles = [name for name in files if name.endswith(PICKLES) and not name.startswith(TRAINING)]
    weights = safe or pickles
    if not weights:
        return Folder(path=path, config=config, problem=f"{path} has no *.safetensors")
    wanted = [name for name in files if name not in LEFT_OUT and (not safe or name not in pickles)]
    return Folder(
        path=path,
        config=config,
        weight_bytes=sum((path / name).stat().st_size for name in weights),
        pickle_only=not safe,
        remote_code="auto_map" in config,
        digest=_digest(path, wanted, memory),
    )


def _files(path: Path) -> Iterator[str]:
    """Every file below, relative; hidden files and folders left out."""
    for folder, names, files in os.walk(path, followlinks=True):
        names[:] = sorted(name for name in names if not name.startswith("."))
        base = Path(folder).relative_to(path)
        yield from (str(base / name) for name in files if not name.startswith("."))


def _digest(path: Path, names: list[str], memory: Path) -> str:
    """`sha256:` over names and content digests, in the order of the names."""
    known = _remembered(memory)
    new: dict[str, str] = {}
    contents = []
    for name in names:
        file = (path / name).resolve()
        facts = file.stat()
        key = f"{file}|{facts.st_size}|{facts.st_mtime_ns}"
        content = known.get(key) or new.get(key) or content_digest(file)
        if key not in known:
            new[key] = content
        contents.append((name, content))
    if new:
        _remember(memory, {**known, **new})
    return tree_digest(contents)


def _remembered(memory: Path) -> dict[str, str]:
    try:
        data = json.loads(memory.read_text())
    except (OSError, json.JSONDecodeError):
        return {}
    return data if isinstance(data, dict) else {}


def _remember(memory: Path, digests: Mapping[str, str]) -> None:
    """Replace the file in one step: two plans at once lose a digest at worst, and compute it again."""
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=memory.parent, delete=False) as stream:
            json.dump(dict(digests), stream)
        os.replace(stream.name, memory)
    except OSError:
        return  # a read-only cache only costs time
