"""What `inferform lock` records of a source that can change: its revision now, and what sizing needs."""

from __future__ import annotations

import json
from typing import Any

from runtime.contract.version import Trust
from runtime.replica.sources.fetch import open_remote
from runtime.replica.sources.files import choose_files, is_pickle_only, is_weights
from runtime.replica.sources.reference import SourceError, parse_source


def inspect(text: str) -> dict[str, Any]:
    """Facts of a hub's or bucket's model as JSON data: source, revision, weightBytes, pickleOnly, remoteCode, config.

    Asks the network; downloads nothing but config.json. Raises SourceError.
    """
    source = parse_source(text)
    if source.scheme in ("path", "embedded"):
        raise SourceError(f"source {text!r}: a folder or an embedded model needs no lock entry")
    remote = open_remote(source, source.revision)
    manifest = remote.manifest()
    if "config.json" not in manifest.files:
        raise SourceError(f"{text} has no config.json: not a Hugging Face model folder")
    try:
        config = json.loads(remote.read("config.json"))
    except ValueError as error:
        raise SourceError(f"{text}: config.json is not JSON: {error}") from error
    pickle_only = is_pickle_only(manifest.files)
    chosen = choose_files(manifest.files, Trust(pickle=True), text)
    weights = [name for name in chosen if is_weights(name)]
    return {
        "source": text,
        "revision": manifest.revision,
        "weightBytes": sum(manifest.files[name] for name in weights),
        "pickleOnly": pickle_only,
        "remoteCode": bool(config.get("auto_map")),
        "config": config,
    }
