"""Mutations of valid ONNX files, and what loading one must never do."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from edgekit.capture import load_onnx
from edgekit.emit import EmitOptions, emit
from edgekit.errors import EdgekitError

__all__ = ["SEEDS", "mutations", "survives"]

_MOST_BYTES = 1 << 20


def _tensor(name: str, *shape: int) -> TensorProto:
    values = np.random.default_rng(len(name)).standard_normal(shape).astype(np.float32)
    return numpy_helper.from_array(values, name)


def _ints(name: str, *numbers: int) -> TensorProto:
    return numpy_helper.from_array(np.array(numbers, np.int64), name)


def _classifier() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], "conv", strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c", "s", "b", "m", "v"], ["n"], "norm"),
        helper.make_node("Relu", ["n"], ["r"], "relu"),
        helper.make_node("MaxPool", ["r"], ["p"], "pool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
        helper.make_node("Flatten", ["p"], ["f"], "flat"),
        helper.make_node("Gemm", ["f", "g", "h"], ["y"], "head", transB=1),
    ]
    tensors = [_tensor("w", 4, 3, 3, 3), _tensor("b", 4), _tensor("s", 4), _tensor("m", 4)]
    tensors += [numpy_helper.from_array(np.ones(4, np.float32), "v"), _tensor("g", 5, 64), _tensor("h", 5)]
    return _model(nodes, tensors, [1, 3, 16, 16], [1, 5])


def _shapes() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Shape", ["x"], ["s"], "shape"),
        helper.make_node("Gather", ["s", "zero"], ["n"], "gather", axis=0),
        helper.make_node("Concat", ["n", "rest"], ["t"], "target", axis=0),
        helper.make_node("Reshape", ["x", "t"], ["r"], "reshape"),
        helper.make_node("Split", ["r", "lengths"], ["a", "b"], "split", axis=1),
        helper.make_node("Concat", ["b", "a"], ["j"], "join", axis=1),
        helper.make_node("Resize", ["j", "", "scales"], ["z"], "resize", mode="nearest"),
        helper.make_node("Pad", ["z", "pads"], ["q"], "pad"),
        helper.make_node("Slice", ["q", "from", "to", "on"], ["y"], "slice"),
    ]
    scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")
    tensors = [_ints("zero", 0), _ints("rest", 4, 8, 6), _ints("lengths", 1, 3), scales]
    tensors += [_ints("pads", 0, 0, 1, 1, 0, 0, 1, 1), _ints("from", 1), _ints("to", 9), _ints("on", 2)]
    return _model(nodes, tensors, [1, 3, 8, 8], [1, 4, 8, 14])


def _attention() -> onnx.ModelProto:
    nodes = [
        helper.make_node("LayerNormalization", ["x", "s", "b"], ["n"], "norm", axis=-1),
        helper.make_node("MatMul", ["n", "w"], ["q"], "query"),
        helper.make_node("Transpose", ["q"], ["k"], "turn", perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "k"], ["a"], "scores"),
        helper.make_node("Softmax", ["a"], ["p"], "soft", axis=-1),
        helper.make_node("MatMul", ["p", "q"], ["o"], "mix"),
        helper.make_node("ReduceMean", ["o", "axes"], ["y"], "mean", keepdims=0),
    ]
    tensors = [_tensor("s", 8), _tensor("b", 8), _tensor("w", 8, 8), _ints("axes", 1)]
    return _model(nodes, tensors, [1, 6, 8], [1, 8])


def _model(
    nodes: list[onnx.NodeProto], tensors: list[TensorProto], given: list[int], made: list[int]
) -> onnx.ModelProto:
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, given)]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, made)]
    graph = helper.make_graph(nodes, "net", inputs, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


SEEDS: tuple[Callable[[], onnx.ModelProto], ...] = (_classifier, _shapes, _attention)
"""Small models of many operators, whose files are mutated."""

_NUMBERS = (0, 1, -1, 2, 7, 255, 2**16, 2**31 - 1, -(2**31), 2**40, 2**62, -(2**63))
_OPERATORS = (
    "Conv",
    "Add",
    "Reshape",
    "Expand",
    "Tile",
    "Range",
    "ConstantOfShape",
    "If",
    "Loop",
    "Nonsense",
    "Resize",
)


def _flip_bytes(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 2, 8, 64))):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def _cut(data: bytes, rng: random.Random) -> bytes:
    start, stop = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:start] + data[stop:] if rng.random() < 0.5 else data[:stop]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    start, stop = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:stop] + data[start:stop] * rng.choice((1, 2, 50)) + data[stop:]


def _nest(data: bytes, rng: random.Random) -> bytes:
    """A graph in an attribute of a node in a graph, a thousand deep."""
    inner = data[: rng.randrange(1, 64)]
    for _ in range(rng.choice((10, 99, 101, 1000))):
        inner = b"\x3a" + _varint(len(inner)) + inner
    return inner


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


_BYTES = (_flip_bytes, _cut, _repeat, _nest)


def _change_structure(model: onnx.ModelProto, rng: random.Random) -> None:
    graph = model.graph
    node = rng.choice(graph.node)
    names = [name for one in graph.node for name in (*one.input, *one.output)] + ["", "missing"]
    change = rng.randrange(12)
    if change == 0:
        node.op_type = rng.choice(_OPERATORS)
    elif change == 1 and node.input:
        node.input[rng.randrange(len(node.input))] = rng.choice(names)
    elif change == 2:
        node.output[rng.randrange(len(node.output))] = rng.choice(names)
    elif change == 3:
        node.input.append(rng.choice(names))
    elif change == 4 and node.input:
        del node.input[rng.randrange(len(node.input))]
    elif change == 5:
        graph.node.remove(node)
    elif change == 6:
        graph.node.add().CopyFrom(node)
    elif change == 7 and node.attribute:
        _change_attribute(rng.choice(node.attribute), rng)
    elif change == 8 and graph.initializer:
        _change_tensor(rng.choice(graph.initializer), rng)
    elif change == 9:
        dims = graph.input[0].type.tensor_type.shape.dim
        if dims:
            dims[rng.randrange(len(dims))].dim_value = rng.choice(_NUMBERS)
    elif change == 10:
        model.opset_import[0].version = rng.choice((-1, 0, 1, 8, 9, 13, 17, 20, 24, 99, 2**40))
    elif graph.initializer:
        del graph.initializer[rng.randrange(len(graph.initializer))]


def _change_attribute(attribute: onnx.AttributeProto, rng: random.Random) -> None:
    change = rng.randrange(4)
    if change == 0:
        attribute.i = rng.choice(_NUMBERS)
    elif change == 1 and attribute.ints:
        attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(_NUMBERS)
    elif change == 2:
        attribute.ints.extend(rng.choice(_NUMBERS) for _ in range(rng.choice((1, 3, 9))))
    else:
        attribute.type = AttributeProto.AttributeType.Value(rng.choice(AttributeProto.AttributeType.keys()))


def _change_tensor(tensor: TensorProto, rng: random.Random) -> None:
    change = rng.randrange(5)
    if change == 0 and tensor.dims:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(_NUMBERS)
    elif change == 1:
        tensor.dims.append(rng.choice(_NUMBERS))
    elif change == 2:
        tensor.data_type = rng.randrange(30)
    elif change == 3 and tensor.data_type == TensorProto.INT64 and tensor.raw_data:
        count = len(tensor.raw_data) // 8
        tensor.raw_data = np.array([rng.choice(_NUMBERS) for _ in range(count)], np.int64).tobytes()
    else:
        tensor.raw_data = tensor.raw_data[: rng.randrange(len(tensor.raw_data) + 1)]


def mutations(seed: int) -> Iterator[bytes]:
    """Endless mutated files, the same for one seed."""
    rng = random.Random(seed)
    originals = [build() for build in SEEDS]
    while True:
        model = onnx.ModelProto()
        model.CopyFrom(rng.choice(originals))
        if rng.random() < 0.4:
            data = rng.choice(_BYTES)(model.SerializeToString(), rng)
        else:
            for _ in range(rng.choice((1, 1, 2, 4))):
                if model.graph.node:
                    _change_structure(model, rng)
            data = model.SerializeToString()
        yield data[:_MOST_BYTES]


def survives(data: bytes, folder: Path) -> str:
    """Load a file and lower it: ``"made"``, or the typed error's name. Anything else is raised."""
    source = folder / "mutated.onnx"
    source.write_bytes(data)
    try:
        graph = load_onnx(source, resolution=16)
        emit(graph, folder / "mutated.tflite", "tflite", EmitOptions())
    except EdgekitError as exc:
        return type(exc).__name__
    return "made"
