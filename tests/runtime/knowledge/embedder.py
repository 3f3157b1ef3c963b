"""A deterministic embedder for tests: a bag of words, hashed. Texts that share words are near."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import numpy as np

from runtime.knowledge.embedding import Vectors


class BagOfWords:
    name = "bag-of-words"
    dimensions = 256

    def embed(self, texts: Sequence[str]) -> Vectors:
        rows = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in re.findall(r"\w+", text.lower()):
                row[zlib.crc32(word.encode()) % self.dimensions] += 1
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        unit: Vectors = rows / np.maximum(norms, 1)
        return unit
