"""The static embedding: a table of word pieces, some tens of microseconds a text.

Needs the extra `edge` and the package teachback-minilm.
"""

from __future__ import annotations

import numpy as np
import teachback_minilm as package
from numpy.typing import NDArray
from tokenizers import Tokenizer

#: Names its vectors; they are never compared with those of the full model.
MODEL = f"{package.MODEL_ID}-static"
#: Code points of a text that are read: about as many as 256 word pieces have.
MAX_CHARACTERS = 2_000

Vector = NDArray[np.float32]


class StaticModel:
    """Means of the vectors of a text's word pieces (as in model2vec)."""

    def __init__(self) -> None:
        # Mapped, not read: processes of one machine share it.
        self._table = np.load(package.FOLDER / "static_vectors.npy", mmap_mode="r")
        self._scales = np.load(package.FOLDER / "static_scales.npy")
        self._tokenizer = Tokenizer.from_file(str(package.FOLDER / "tokenizer.json"))
        self.dimensions = int(self._table.shape[1])

    def embed(self, text: str) -> Vector:
        """Return one unit vector; zeros for a text without any word."""
        read = text[:MAX_CHARACTERS].encode("utf-8", "replace").decode("utf-8")
        # Without the marks of the beginning and the end.
        ids = self._tokenizer.encode(read).ids[1:-1]
        if not ids:
            return np.zeros(self.dimensions, np.float32)
        mean = self._scales[ids] @ self._table[ids].astype(np.float32)
        length = float(np.linalg.norm(mean))
        return np.asarray(mean / length if length > 0 else mean, np.float32)
