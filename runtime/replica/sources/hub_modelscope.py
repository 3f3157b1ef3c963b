"""`modelscope://org/name@revision`: ModelScope's own client; another endpoint through MODELSCOPE_ENDPOINT."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from modelscope_hub import HubApi
from modelscope_hub.errors import HubError

from runtime.replica.sources.reference import Source, SourceError
from runtime.replica.sources.remote import Manifest, MegabytesDone, Remote, Say


class ModelScopeHub(Remote):
    """A model repository at one revision. Its commit is that of its newest file: the hub names no other."""

    def __init__(self, source: Source, revision: str) -> None:
        os.environ.setdefault("TQDM_DISABLE", "1")  # the client's own bars; ours are details of a phase
        self._name, self._revision = source.place, revision or "master"
        self._text = f"modelscope://{self._name}@{self._revision}"
        self._api = HubApi(endpoint=os.environ.get("MODELSCOPE_ENDPOINT"))
        self._entries: list[dict[str, Any]] = []

    def manifest(self) -> Manifest:
        with self._plainly():
            listed = self._api.legacy.list_repo_files(self._name, "model", self._revision)
        self._entries = [entry for entry in listed if entry.get("Type", "blob") != "tree"]
        if not self._entries:
            raise SourceError(f"{self._text}: the hub lists no files")
        newest = max(self._entries, key=lambda entry: int(entry.get("CommittedDate") or 0))
        return Manifest(
            str(newest.get("Revision") or self._revision),
            {str(entry["Path"]): int(entry.get("Size") or 0) for entry in self._entries},
        )

    def read(self, name: str) -> bytes:
        with self._plainly():
            response = self._api.legacy.download_stream(self._name, "model", name, self._revision)
            with response:
                return bytes(response.content)

    def download(self, manifest: Manifest, names: Sequence[str], folder: Path, say: Say) -> None:
        done = MegabytesDone(sum(manifest.files[name] for name in names), say)

        class Counting:
            """The client makes one per file."""

            def __init__(self, filename: str, file_size: int) -> None:
                pass

            def update(self, size: int) -> None:
                done.add(size)

            def end(self) -> None:
                pass

        wanted = set(names)
        with self._plainly():
            self._api.download_repo(
                self._name,
                "model",
                revision=self._revision,
                local_dir=folder,
                progress_callbacks=[Counting],
                # With sizes and SHA-256 of each file, which the client checks.
                file_list=[entry for entry in self._entries if entry["Path"] in wanted],
            )

    @contextmanager
    def _plainly(self) -> Iterator[None]:
        try:
            yield
        except (HubError, requests.RequestException, OSError, ValueError) as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise SourceError(f"{self._text}: {lines[0]}") from error
