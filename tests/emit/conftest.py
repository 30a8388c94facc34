"""Small networks for the emitters' tests, and a plain quantizer for them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from edgekit.graph import qdq
from edgekit.graph.run import GraphRunner
from edgekit.graph.values import Array, array_of, only_reader
from graphs import NETWORKS, FloatArray, GraphBuilder

Ranges = dict[str, tuple[float, float]]

_KEEPS_SCALE = (
    *(
        "AveragePool",
        "Concat",
        "DepthToSpace",
        "Expand",
        "Flatten",
        "Gather",
        "GlobalMaxPool",
        "MaxPool",
        "Pad",
    ),
    *("ReduceMax", "ReduceMin", "Reshape", "Resize", "Slice", "SpaceToDepth", "Tile", "Transpose"),
)
_FIXED = {"Sigmoid": (1 / 256, -128), "Softmax": (1 / 256, -128), "Tanh": (1 / 128, 0)}
_ACTIVATIONS = ("Relu", "Clip")
_WEIGHTED = ("Conv", "Gemm")


def _is_inner(value: ir.Value) -> bool:
    """Whether an activation follows that is fused into the operator before it."""
    reader = only_reader(value)
    return reader is not None and reader.op_type in _ACTIVATIONS


def _unify(graph: ir.Graph, ranges: Ranges) -> None:
    """Give inputs and outputs of every operator that keeps its scale one range."""
    keepers = [node for node in graph if node.op_type in _KEEPS_SCALE]
    for _ in range(len(keepers)):
        for node in keepers:
            inputs = node.inputs if node.op_type == "Concat" else node.inputs[:1]
            names = [value.name or "" for value in (*inputs, *node.outputs) if value is not None]
            known = [ranges[name] for name in names if name in ranges]
            merged = (min(low for low, _ in known), max(high for _, high in known))
            ranges.update({name: merged for name in names if name in ranges})


def _activation_params(value: ir.Value, ranges: Ranges) -> qdq.QuantizedTensor:
    producer = value.producer()
    if producer is not None and producer.op_type in _FIXED:
        return qdq.scalar_params(*_FIXED[producer.op_type])
    low, high = ranges[value.name or ""]
    low, high = min(low, 0.0), max(high, 1e-3)
    scale = np.float32((high - low) / 255)
    return qdq.scalar_params(float(scale), int(np.clip(round(-128 - low / float(scale)), -128, 127)))


def _steps(array: Array, scale: FloatArray) -> FloatArray:
    return np.asarray(np.round(array / scale))  # type: ignore[operator]  # arrays of initializers are float


def _quantize_weights(graph: ir.Graph, node: ir.Node, input_scale: float, per_channel: bool) -> None:
    weight, bias = array_of(node.inputs[1]), array_of(node.inputs[2])
    assert weight is not None
    assert bias is not None
    rows = np.abs(weight.reshape(len(weight) if per_channel else 1, -1))
    widest = np.abs(bias.reshape(len(rows), -1)).max(axis=1) / (input_scale * 2**30)
    # A channel of zeros still has a scale, and every bias fits int32. Within ±63 any two products fit int16,
    # in which x86 processors without VNNI add them.
    scale = np.maximum.reduce([rows.max(axis=1) / 63, widest, np.full(len(rows), 1e-6)]).astype(np.float32)
    integers = _steps(weight, scale.reshape(-1, *[1] * (weight.ndim - 1))).astype(np.int8)
    axis, shape = (0, scale.shape) if per_channel else (None, ())
    scale = scale.reshape(shape)
    qdq.insert_constant(graph, node, 1, qdq.QuantizedTensor(scale, 0, ir.DataType.INT8, axis, integers))
    bias_scale = np.asarray(np.float32(input_scale) * scale, np.float32)
    steps = _steps(bias, bias_scale).astype(np.int32)
    qdq.insert_constant(graph, node, 2, qdq.QuantizedTensor(bias_scale, 0, ir.DataType.INT32, axis, steps))


def _quantize_operand(graph: ir.Graph, node: ir.Node, index: int) -> None:
    """A constant operand of an element-wise operator, per tensor."""
    array = array_of(node.inputs[index])
    assert array is not None
    scale = np.asarray(np.abs(array).max() / 127, np.float32)
    integers = _steps(array, scale).astype(np.int8)
    qdq.insert_constant(graph, node, index, qdq.QuantizedTensor(scale, 0, ir.DataType.INT8, None, integers))


def quantize_plainly(model: ir.Model, batch: FloatArray, per_channel_gemm: bool = True) -> ir.Model:
    """Quantize ``model`` in place by min-max over ``batch`` [N, C, H, W], as the quantized contract says."""
    graph = model.graph
    nodes = list(graph)
    values = [v for v in (*graph.inputs, *(node.outputs[0] for node in nodes)) if not _is_inner(v)]
    arrays = GraphRunner(model, [v.name or "" for v in values]).run(batch)
    ranges = {name: (float(array.min()), float(array.max())) for name, array in arrays.items()}
    _unify(graph, ranges)
    parameters = {v.name or "": _activation_params(v, ranges) for v in values}
    for node in nodes:
        if node.op_type in _WEIGHTED:
            assert node.inputs[0] is not None
            scale = float(parameters[node.inputs[0].name or ""].scale)
            _quantize_weights(graph, node, scale, per_channel_gemm or node.op_type == "Conv")
        elif node.op_type in ("Add", "Sub", "Mul"):
            for index, operand in enumerate(node.inputs):
                if array_of(operand) is not None:
                    _quantize_operand(graph, node, index)
    for value in values:
        qdq.insert_activation_pair(graph, value, parameters[value.name or ""])
    return model


@pytest.fixture
def new_graph() -> Callable[..., GraphBuilder]:
    """``new_graph(input_shape, seed=0)`` starts a :class:`GraphBuilder`."""
    return GraphBuilder


@pytest.fixture
def quantize_small() -> Callable[..., ir.Model]:
    """``quantize_small(model, batch, per_channel_gemm=True)``: see :func:`quantize_plainly`."""
    return quantize_plainly


@pytest.fixture(params=sorted(NETWORKS))
def small_network(request: pytest.FixtureRequest) -> ir.Model:
    """A network of ``image`` [1, 3, 24, 24] in the manner of one family each."""
    builder = GraphBuilder([1, 3, 24, 24])
    return builder.model(NETWORKS[request.param](builder))
