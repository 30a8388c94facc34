"""The table of integer operators against the graph's, the emitter's and LiteRT's idea of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from edgekit.emit import EmitOptions, emit
from edgekit.emit.tflite.registry import LOWERINGS
from edgekit.errors import UnsupportedError
from edgekit.graph.ops import OPERATORS
from edgekit.graph.run import GraphRunner
from edgekit.quantize import observe, quantize
from edgekit.quantize.contract import CONTRACT, rule_of
from edgekit.runtimes import load
from graphs import GraphBuilder


def pooled(b: GraphBuilder, x: ir.Value, op_type: str) -> ir.Value:
    return b.op(op_type, x, kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 0, 0])


ONE_OF_EACH: dict[str, Callable[[GraphBuilder, ir.Value], ir.Value]] = {
    "Add": lambda b, x: b.op("Add", x, b.conv(x, 4, 1)),
    "AveragePool": lambda b, x: pooled(b, x, "AveragePool"),
    "Clip": lambda b, x: b.relu6(pooled(b, x, "AveragePool")),
    "Concat": lambda b, x: b.op("Concat", x, b.conv(x, 4, 1), axis=1),
    "Conv": lambda b, x: b.conv(x, 4),
    "DepthToSpace": lambda b, x: b.op("DepthToSpace", x, blocksize=2),
    "Elu": lambda b, x: b.op("Elu", x),
    "Expand": lambda b, x: b.op("Expand", b.op("GlobalAveragePool", x), np.asarray([1, 4, 3, 3])),
    "Flatten": lambda b, x: b.op("Flatten", b.op("GlobalAveragePool", x), axis=1),
    "Gather": lambda b, x: b.op("Gather", x, np.asarray([2, 0]), axis=1),
    "Gelu": lambda b, x: b.op("Gelu", x),
    "GlobalMaxPool": lambda b, x: b.op("GlobalMaxPool", x),
    "Gemm": lambda b, x: b.gemm(b.op("Flatten", b.op("GlobalAveragePool", x), axis=1), 5),
    "GlobalAveragePool": lambda b, x: b.op("GlobalAveragePool", x),
    "HardSigmoid": lambda b, x: b.op("HardSigmoid", x, alpha=1 / 6, beta=0.5),
    "HardSwish": lambda b, x: b.op("HardSwish", x),
    "LeakyRelu": lambda b, x: b.op("LeakyRelu", x, alpha=0.1),
    "MaxPool": lambda b, x: pooled(b, x, "MaxPool"),
    "Mul": lambda b, x: b.op("Mul", x, b.op("Sigmoid", x)),
    "PRelu": lambda b, x: b.op("PRelu", x, b.normal(4, 1, 1)),
    "Pad": lambda b, x: b.op("Pad", x, np.asarray([0, 0, 1, 1, 0, 0, 1, 1])),
    "ReduceMax": lambda b, x: b.op("ReduceMax", x, np.asarray([2]), keepdims=1),
    "ReduceMin": lambda b, x: b.op("ReduceMin", x, np.asarray([2]), keepdims=1),
    "ReduceMean": lambda b, x: b.op("ReduceMean", x, np.asarray([2, 3]), keepdims=1),
    "Relu": lambda b, x: b.op("Relu", pooled(b, x, "MaxPool")),
    "Reshape": lambda b, x: b.op("Reshape", b.op("GlobalAveragePool", x), np.asarray([1, 4])),
    "Resize": lambda b, x: b.op(
        "Resize",
        x,
        np.zeros(0, np.float32),
        np.asarray([1, 1, 2, 2], np.float32),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    ),
    "Sigmoid": lambda b, x: b.op("Sigmoid", x),
    "Slice": lambda b, x: b.op("Slice", x, np.asarray([1]), np.asarray([3]), np.asarray([1])),
    "Softmax": lambda b, x: b.op("Softmax", b.op("Flatten", b.op("GlobalAveragePool", x), axis=1), axis=1),
    "SpaceToDepth": lambda b, x: b.op("SpaceToDepth", x, blocksize=2),
    "Sub": lambda b, x: b.op("Sub", b.conv(x, 4, 1), x),
    "Tanh": lambda b, x: b.op("Tanh", x),
    "Tile": lambda b, x: b.op("Tile", x, np.asarray([1, 2, 1, 1])),
    "Transpose": lambda b, x: b.conv(b.op("Transpose", x, perm=[0, 1, 3, 2]), 2, 1),
}


def one_operator(op_type: str) -> ir.Model:
    builder = GraphBuilder([1, 3, 8, 8])
    return builder.model(ONE_OF_EACH[op_type](builder, builder.conv(builder.image, 4)))


def test_every_rule_has_its_example() -> None:
    assert sorted(ONE_OF_EACH) == sorted(CONTRACT)


@pytest.mark.parametrize("op_type", CONTRACT)
def test_rules_are_whole(op_type: str) -> None:
    rule = CONTRACT[op_type]
    assert op_type in OPERATORS
    assert op_type in LOWERINGS
    assert rule.sentence
    assert (rule.params is not None) == (rule.kind == "fixed")


@pytest.mark.parametrize("op_type", CONTRACT)
def test_litert_computes_what_was_quantized(op_type: str, tmp_path: Path) -> None:
    """The emitter checks the file by the 8-bit specification; LiteRT answers like the float network."""
    model = one_operator(op_type)
    images = np.random.default_rng(1).standard_normal((8, 1, 3, 8, 8)).astype(np.float32)
    quantized = quantize(model, observe(model, images)).model
    emitted = emit(quantized, tmp_path / "one.tflite", "tflite", EmitOptions("int8", "float32", "float32"))
    runner = load(emitted.path)
    found = np.concatenate([runner.run(image.transpose(0, 2, 3, 1)) for image in images])
    if found.ndim == 4:
        found = found.transpose(0, 3, 1, 2)
    expected = GraphRunner(model).run(images[:, 0])["logits"]
    assert np.abs(found - expected).max() < 0.04 * (expected.max() - expected.min())


def test_an_operator_without_integer_form_is_named() -> None:
    with pytest.raises(UnsupportedError, match=r"Erf of node 'blocks\.2\.gelu'"):
        rule_of("Erf", "blocks.2.gelu")
