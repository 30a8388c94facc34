"""The Q/DQ convention: what is written is read back, and onnxruntime computes what it says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from edgekit.graph import qdq
from edgekit.graph.passes import canonicalize
from edgekit.graph.run import GraphRunner
from edgekit.graph.subgraph import find_value
from edgekit.graph.verify import verify

MakeModel = Callable[..., ir.Model]

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (2, 3, 5, 5)).astype(np.float32)
WEIGHT = RNG.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8)
BIAS = RNG.integers(-1000, 1000, 4).astype(np.int32)
SCALES = RNG.uniform(0.001, 0.01, 4).astype(np.float32)


@pytest.fixture
def model(make_model: MakeModel) -> ir.Model:
    model = make_model(
        "(float[1,3,5,5] x) => (float[1,4,3,3] y) { a = Conv(x, w, b) y = Relu(a) }",
        w=np.zeros((4, 3, 3, 3)),
        b=np.zeros(4),
    )
    canonicalize(model)
    return model


def weight_params() -> qdq.QuantizedTensor:
    return qdq.QuantizedTensor(SCALES, 0, ir.DataType.INT8, axis=0, values=WEIGHT)


def test_activation_round_trip(model: ir.Model) -> None:
    graph = model.graph
    given = {"image": qdq.scalar_params(0.01, 3), "logits": qdq.scalar_params(0.5, -128)}
    qdq.insert_activation_pair(graph, graph.inputs[0], given["image"])
    qdq.insert_activation_pair(graph, graph.outputs[0], given["logits"])
    assert [value.name for value in graph.outputs] == ["logits"]
    for value, params in ((graph[2].inputs[0], given["image"]), (graph.outputs[0], given["logits"])):
        found = qdq.dequantized_from(value)
        assert found is not None
        assert (found.scale, found.zero_point, found.dtype) == (params.scale, params.zero_point, params.dtype)
        assert found.values is None
        assert found.axis is None
        assert qdq.dequantized_constant(value) is None


def test_constant_round_trip(model: ir.Model) -> None:
    graph = model.graph
    conv = graph[0]
    bias = qdq.QuantizedTensor(SCALES * np.float32(0.01), 0, ir.DataType.INT32, axis=0, values=BIAS)
    for index, params in ((1, weight_params()), (2, bias)):
        value = qdq.insert_constant(graph, conv, index, params)
        found = qdq.dequantized_constant(value)
        assert found is not None
        assert found.values is not None
        np.testing.assert_array_equal(found.values, params.values)
        np.testing.assert_array_equal(found.scale, params.scale)
        assert (found.zero_point, found.dtype, found.axis) == (0, params.dtype, 0)
        assert qdq.dequantized_from(value) is None
    assert not {"conv.weight", "conv.bias"} & set(graph.initializers)
    find_value(model, "conv.weight.quantized")


def test_a_constant_that_another_node_reads_is_kept(make_model: MakeModel) -> None:
    model = make_model(
        "(float[1,4] x) => (float[1,4] y) { a = Mul(x, w) y = Add(a, w) }", w=np.ones(4, np.float32)
    )
    canonicalize(model)
    params = qdq.QuantizedTensor(np.float32(1), 0, ir.DataType.INT8, values=np.ones(4, np.int8))
    qdq.insert_constant(model.graph, model.graph[0], 1, params)
    assert "mul.constant" in model.graph.initializers


def test_onnxruntime_computes_the_integers(model: ir.Model) -> None:
    """Against the arithmetic written out: integers, scales, and rounding half to even."""
    graph = model.graph
    conv, x_scale = graph[0], np.float32(0.01)
    qdq.insert_constant(graph, conv, 1, weight_params())
    bias = qdq.QuantizedTensor(SCALES * x_scale, 0, ir.DataType.INT32, axis=0, values=BIAS)
    qdq.insert_constant(graph, conv, 2, bias)
    qdq.insert_activation_pair(graph, graph.inputs[0], qdq.scalar_params(float(x_scale), 5))
    qdq.insert_activation_pair(graph, graph.outputs[0], qdq.scalar_params(0.02, -128))

    x_integers = np.clip(np.round(X / x_scale) + 5, -128, 127) - 5
    windows = np.lib.stride_tricks.sliding_window_view(x_integers, (3, 3), axis=(2, 3))
    sums = np.einsum("nchwij,ocij->nohw", windows, WEIGHT.astype(np.float64)) + BIAS.reshape(1, 4, 1, 1)
    real = np.maximum(sums * x_scale * SCALES.reshape(1, 4, 1, 1), 0)
    expected = (np.clip(np.round(real / 0.02) - 128, -128, 127) + 128) * 0.02
    found = GraphRunner(model, optimize=False).run(X)["logits"]
    # One step where float32 and float64 round to different sides.
    assert np.abs(found - expected).max() <= 0.0201
    assert np.mean(np.abs(found - expected) > 1e-4) < 0.01


def test_a_quantized_graph_is_canonical(model: ir.Model) -> None:
    graph = model.graph
    qdq.insert_constant(graph, graph[0], 1, weight_params())
    qdq.insert_activation_pair(graph, graph.inputs[0], qdq.scalar_params(0.01, 0))
    qdq.insert_activation_pair(graph, graph.outputs[0], qdq.scalar_params(0.02, -128))
    verify(model)
