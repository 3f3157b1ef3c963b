"""The models in a cache folder: each fetched once, by one process at a time, and never seen half."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

RECEIPT = "fetched.json"


def fetched_once(cache: Path, name: str, download: Callable[[Path], None], facts: dict[str, str]) -> Path:
    """The folder `cache/models/name`, downloaded first unless it is there.

    `download` fills a folder that stays when it is interrupted, so that the next try goes on from there; the folder
    gets its final name in one step when it is whole. `facts` are written beside the files.
    """
    models = cache / "models"
    folder = models / name
    if (folder / RECEIPT).exists():
        return folder
    models.mkdir(parents=True, exist_ok=True)
    with _locked(models / f".{name}.lock"):
        if not (folder / RECEIPT).exists():  # another process may have fetched it while this one waited
            partial = models / f".{name}.partial"
            partial.mkdir(exist_ok=True)
            download(partial)
            (partial / RECEIPT).write_text(json.dumps(facts, sort_keys=True) + "\n")
            partial.rename(folder)
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
