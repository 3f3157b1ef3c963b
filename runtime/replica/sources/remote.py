"""What every remote place of models can do: list, read a small file, download many."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a source holds now. `revision` pins it: a hub's commit, or a bucket's manifest hash."""

    revision: str
    files: dict[str, int]  # name inside the model -> bytes


class Remote(ABC):
    """One model at one place. All methods block, and raise SourceError with a plain reason."""

    @abstractmethod
    def manifest(self) -> Manifest:
        """List the files at the wanted revision."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """One small file."""

    @abstractmethod
    def download(self, manifest: Manifest, names: Sequence[str], folder: Path, say: Say) -> None:
        """Fetch files into `folder`, going on with what an interrupted download left there."""


class MegabytesDone:
    """Adds up bytes from several threads and says `120 of 269 MB` when that text changes."""

    def __init__(self, total: int, say: Say) -> None:
        self._total, self._say, self._done, self._text = total, say, 0, ""
        self._lock = Lock()

    def add(self, size: int) -> None:
        """Count bytes; negative where a download starts over."""
        with self._lock:
            self._done += size
            text = f"{self._done // 10**6} of {self._total // 10**6} MB"
            if text != self._text:
                self._text = text
                self._say(text)
