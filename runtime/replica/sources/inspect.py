"""What `inferform lock` records of a source that can change: its revision now, and what sizing needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from runtime.contract.paths import cache_folder
from runtime.contract.tree import files_below
from runtime.contract.version import Trust
from runtime.replica.sources.fetch import fetch_source, open_remote
from runtime.replica.sources.files import choose_files, is_pickle_only, is_weights
from runtime.replica.sources.git import commit_of
from runtime.replica.sources.reference import SourceError, parse_source

CONFIG = "config.json"
ADAPTER = "adapter_config.json"
"""Of a LoRA adapter; beside a config.json it belongs to a model that was tuned and merged."""


def manifest(text: str) -> dict[str, Any]:
    """Facts of a bucket that is mounted: source and revision, the hash of its manifest. Raises SourceError."""
    source = parse_source(text)
    if source.scheme != "s3":
        raise SourceError(f"source {text!r}: only a bucket that is mounted has a manifest to pin")
    return {"source": text, "revision": open_remote(source, "").manifest().revision}


def inspect(text: str, cache: Path | None = None) -> dict[str, Any]:
    """Facts of a remote model as JSON data: source, revision, weightBytes, pickleOnly, remoteCode, config.

    A LoRA adapter has an empty config: its sizes are its base model's.

    Asks the network. Of a hub or bucket nothing but config.json is downloaded; git cannot tell sizes without the files,
    so a repository is cloned into the cache, where replicas find it. Raises SourceError or OSError.
    """
    source = parse_source(text)
    if source.scheme in ("path", "embedded"):
        raise SourceError(f"source {text!r}: a folder or an embedded model needs no lock entry")
    if source.scheme == "git":
        folder = fetch_source(source, "", cache or cache_folder(), lambda line: None, Trust())
        files = {name: (folder / name).stat().st_size for name in files_below(folder)}
        revision = commit_of(folder, source)
        found = (folder / CONFIG).read_bytes() if CONFIG in files else b"{}"
    else:
        remote = open_remote(source, source.revision)
        listed = remote.manifest()
        files, revision = listed.files, listed.revision
        found = remote.read(CONFIG) if CONFIG in files else b"{}"
    if CONFIG not in files and ADAPTER not in files:
        raise SourceError(f"{text} has no {CONFIG} and no {ADAPTER}: neither a Hugging Face model nor a LoRA adapter")
    try:
        config = json.loads(found)
    except ValueError as error:
        raise SourceError(f"{text}: config.json is not JSON: {error}") from error
    pickle_only = is_pickle_only(files)
    chosen = choose_files(files, Trust(pickle=True), text)
    weights = [name for name in chosen if is_weights(name)]
    return {
        "source": text,
        "revision": revision,
        "weightBytes": sum(files[name] for name in weights),
        "pickleOnly": pickle_only,
        "remoteCode": bool(config.get("auto_map")),
        "config": config,
    }
