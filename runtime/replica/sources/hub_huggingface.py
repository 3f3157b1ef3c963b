"""`hf://org/name@revision`: Hugging Face's own client; another endpoint through HF_ENDPOINT."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # of its HTTP client, whichever it is
from tqdm.auto import tqdm

from runtime.replica.sources.reference import Source, SourceError
from runtime.replica.sources.remote import Manifest, MegabytesDone, Remote, Say


class HuggingFaceHub(Remote):
    """A model repository at one revision; a commit as revision is never resolved again."""

    def __init__(self, source: Source, revision: str) -> None:
        self._name, self._revision = source.place, revision or "main"
        self._endpoint = os.environ.get("HF_ENDPOINT")
        self._text = f"hf://{self._name}@{self._revision}"

    def manifest(self) -> Manifest:
        with self._plainly():
            info = HfApi(endpoint=self._endpoint).model_info(self._name, revision=self._revision, files_metadata=True)
        if info.sha is None:
            raise SourceError(f"{self._text}: the hub names no commit")
        return Manifest(info.sha, {file.rfilename: file.size or 0 for file in info.siblings or []})

    def read(self, name: str) -> bytes:
        scratch = tempfile.mkdtemp()
        try:
            with self._plainly():
                path = hf_hub_download(
                    self._name, name, revision=self._revision, endpoint=self._endpoint, local_dir=scratch
                )
                return Path(path).read_bytes()
        finally:
            shutil.rmtree(scratch)

    def download(self, manifest: Manifest, names: Sequence[str], folder: Path, say: Say) -> None:
        with self._plainly():
            snapshot_download(
                self._name,
                revision=manifest.revision,
                endpoint=self._endpoint,
                local_dir=folder,
                allow_patterns=list(names),
                max_workers=4,
                tqdm_class=_counting(MegabytesDone(sum(manifest.files[name] for name in names), say)),
            )
        for name in names:
            _check_size(folder / name, manifest.files[name], self._text)
        shutil.rmtree(folder / ".cache", ignore_errors=True)  # the client's notes for resuming

    @contextmanager
    def _plainly(self) -> Iterator[None]:
        try:
            yield
        except (HTTPError, OSError, ValueError) as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise SourceError(f"{self._text}: {lines[0]}") from error


def _check_size(file: Path, size: int, source: str) -> None:
    found = file.stat().st_size if file.exists() else 0
    if size and found != size:
        raise SourceError(f"{source}: {file.name} has {found} bytes, the hub lists {size}")


def _counting(done: MegabytesDone) -> Any:
    furthest = 0

    class Counting(tqdm):  # type: ignore[type-arg]
        """Shows nothing. The client keeps several bars of bytes (received, written): the furthest counts."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            self._counts, self._bytes = options.get("unit") == "B", 0
            options["disable"] = True
            super().__init__(*arguments, **options)

        def update(self, n: float | None = 1) -> None:
            nonlocal furthest
            self._bytes += int(n or 0)
            if self._counts and self._bytes > furthest:
                done.add(self._bytes - furthest)
                furthest = self._bytes

    return Counting
