"""The quantized graph against onnx's checker, the canonical contract and its own convention."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from edgekit.graph import qdq
from edgekit.graph.run import GraphRunner
from edgekit.graph.values import add_initializer
from edgekit.quantize import observe, quantize
from edgekit.quantize.plan import Plan, make_plan
from graphs import NETWORKS, FloatArray, GraphBuilder


def network(name: str) -> ir.Model:
    builder = GraphBuilder([1, 3, 24, 24])
    return builder.model(NETWORKS[name](builder))


def images(*shape: int) -> FloatArray:
    return np.random.default_rng(0).standard_normal((6, 1, *shape)).astype(np.float32)


def quantized(model: ir.Model) -> ir.Model:
    assert model.graph.inputs[0].shape is not None
    return quantize(model, observe(model, images(*model.graph.inputs[0].shape.numpy()[1:]))).model


def constant(value: ir.Value | None) -> qdq.QuantizedTensor:
    found = qdq.dequantized_constant(value)
    assert found is not None
    return found


@pytest.mark.parametrize("name", NETWORKS)
def test_the_graph_is_valid_onnx_with_a_pair_for_each_value(name: str) -> None:
    model = network(name)
    plan: Plan = make_plan(model)
    result = quantized(model)
    onnx.checker.check_model(ir.to_proto(result), full_check=True)
    assert [value.name for value in result.graph.outputs] == ["logits"]
    counts = Counter(node.op_type for node in result.graph)
    weighted = sum(layer.is_weighted for layer in plan.layers)
    assert counts.pop("QuantizeLinear") == len(plan.values)
    assert counts.pop("DequantizeLinear") == len(plan.values) + 2 * weighted
    assert counts == Counter(node.op_type for node in model.graph)


@pytest.mark.parametrize("name", NETWORKS)
def test_everything_that_a_layer_reads_and_gives_is_integer(name: str) -> None:
    model = network(name)
    result = quantized(model)
    nodes = {node.name: node for node in result.graph}
    for layer in make_plan(model).layers:
        reader = nodes[layer.name]
        for value in reader.inputs[: len(layer.inputs)]:
            assert qdq.dequantized_from(value) is not None
        last = reader if layer.raw == layer.output else next(iter(reader.outputs[0].uses())).node
        assert [use.node.op_type for use in last.outputs[0].uses()] == ["QuantizeLinear"]


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_and_biases_are_the_integers_that_kernels_take(name: str) -> None:
    for node in quantized(network(name)).graph:
        if node.op_type not in ("Conv", "Gemm"):
            continue
        source, weight, bias = qdq.dequantized_from(node.inputs[0]), *map(constant, node.inputs[1:])
        assert source is not None
        assert (weight.dtype, weight.zero_point, weight.axis) == (ir.DataType.INT8, 0, 0)
        assert (bias.dtype, bias.zero_point, bias.axis) == (ir.DataType.INT32, 0, 0)
        assert weight.values is not None
        # The scale with the least error may leave a filter a step or two short of its ends.
        assert 120 <= np.abs(weight.values.astype(int)).max() <= 127
        np.testing.assert_array_equal(bias.scale, source.scale * weight.scale)


def test_no_float_twin_of_a_quantized_constant_remains() -> None:
    """What floats are left are scales, one for each channel at most, and the bounds of clamps."""
    for value in quantized(network("plain")).graph.initializers.values():
        if value.dtype == ir.DataType.FLOAT:
            readers = {use.node.op_type for use in value.uses()}
            assert readers <= {"QuantizeLinear", "DequantizeLinear", "Clip"}
            assert all(use.idx > 0 for use in value.uses())


def test_the_fp32_graph_is_left_alone() -> None:
    model = network("gated")
    before = ir.to_proto(model).SerializeToString()
    quantized(model)
    assert ir.to_proto(model).SerializeToString() == before


def test_a_constant_that_two_nodes_read_becomes_one_for_each() -> None:
    b = GraphBuilder([1, 3, 8, 8])
    weight = add_initializer(b.graph, "kernel", b.normal(3, 3, 3, 3))
    bias = add_initializer(b.graph, "offset", b.normal(3))

    def convolved(x: ir.Value) -> ir.Value:
        same = {"strides": [1, 1], "pads": [1, 1, 1, 1], "dilations": [1, 1]}
        return b.op("Conv", x, weight, bias, kernel_shape=[3, 3], group=1, **same)  # type: ignore[arg-type]

    first = convolved(b.image)
    model = b.model(b.op("Relu", convolved(b.op("Mul", first, np.float32(40)))))
    result = quantized(model)
    onnx.checker.check_model(ir.to_proto(result), full_check=True)
    scales = [constant(node.inputs[2]).scale for node in result.graph if node.op_type == "Conv"]
    assert np.all(scales[1] > 20 * scales[0])
    batch = images(3, 8, 8)[:, 0]
    expected, found = (GraphRunner(graph).run(batch)["logits"] for graph in (model, result))
    assert np.abs(found - expected).max() < 0.03 * expected.max()
