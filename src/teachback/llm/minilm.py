"""The local embedding model: all-MiniLM-L6-v2, some milliseconds a text on one core."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
import onnxruntime
from tokenizers import Encoding, Tokenizer

from teachback.errors import SetupError
from teachback.llm.embed import Vectors, checked

try:
    import teachback_minilm as package
except ImportError:  # an installation may embed elsewhere, or not at all
    package = None  # type: ignore[assignment]
    LOCAL_MODELS: tuple[str, ...] = ()
else:
    #: The names of models for whose vectors this one embeds queries.
    LOCAL_MODELS = (package.MODEL_ID, *package.ALIKE)

#: Word pieces in one run, padding included: what they become fits a core's own cache.
PIECES = 128
#: Code points that are tokenized: 256 word pieces are less, and a text may be a megabyte.
MAX_CHARACTERS = 8_000
#: An empty text has no meaning; this one's vector stands for it.
NOTHING = "."


class MiniLM:
    """Loads on its first text, and then stays; threads take turns."""

    def __init__(self, *, threads: int = 1) -> None:
        if package is None:
            raise SetupError(
                "the local embedding model is not installed: in a clone, run "
                "pip install ./packages/teachback-minilm"
            )
        self.model = package.MODEL_ID
        self.dimensions = package.DIMENSIONS
        self._threads = threads
        self._loading = threading.Lock()

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a text; what follows after 256 word pieces is not read."""
        with self._loading:
            session, tokenizer = self._session, self._tokenizer
        read = [text[:MAX_CHARACTERS].strip() or NOTHING for text in texts]
        pieces = tokenizer.encode_batch([_without_surrogates(text) for text in read])
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        for chosen in _runs([len(one.ids) for one in pieces]):
            ids, mask = _padded([pieces[at] for at in chosen])
            vectors[chosen] = session.run(None, {"input_ids": ids, "mask": mask})[0]
        return checked(vectors, texts=len(texts), dimensions=self.dimensions, model=self.model)

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        # A thread that waits by turning in circles takes the core from the database.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        path = package.FOLDER / "model.onnx"
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return Tokenizer.from_file(str(package.FOLDER / "tokenizer.json"))


def _without_surrogates(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def _runs(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield places of texts that are read together: of like length, so that little is padding."""
    chosen: list[int] = []
    for at in sorted(range(len(lengths)), key=lengths.__getitem__):
        if chosen and (len(chosen) + 1) * lengths[at] > PIECES:
            yield chosen
            chosen = []
        chosen.append(at)
    if chosen:
        yield chosen


def _padded(pieces: list[Encoding]) -> tuple[np.ndarray, np.ndarray]:
    longest = max(len(one.ids) for one in pieces)
    ids = np.zeros((len(pieces), longest), np.int32)
    mask = np.zeros_like(ids)
    for row, one in enumerate(pieces):
        ids[row, : len(one.ids)] = one.ids
        mask[row, : len(one.ids)] = 1
    return ids, mask
