"""The files of the local embedding model, and the name of its vectors."""

from pathlib import Path

#: Where model.onnx, tokenizer.json and the static table lie.
FOLDER = Path(__file__).parent
#: Names the vectors: changes whenever any file does that they depend on.
MODEL_ID = "minilm-l6-v2-int8-2"
#: Earlier names whose vectors may be compared with these: roundings of the same original.
ALIKE = ("minilm-l6-v2-int8",)
#: Word pieces of a text that are read.
MAX_PIECES = 256
DIMENSIONS = 384
