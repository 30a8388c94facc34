"""Each rendering alone: what it changes, and that it changes no number it should not."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import pytest

from edgekit.emit.renderings.clamps import clamp_integers, drop_implied_clamps
from edgekit.emit.renderings.hard_activations import lower_hard_activations
from edgekit.emit.renderings.hard_sigmoid import expand_hard_sigmoid
from edgekit.emit.renderings.silu import merge_silu
from edgekit.emit.renderings.uint8_activations import shift_to_uint8
from edgekit.emit.renderings.weights import symmetric_int8
from edgekit.graph.run import GraphRunner

IMAGES = np.random.default_rng(2).standard_normal((4, 3, 8, 8)).astype(np.float32)


def operators(model: ir.Model) -> Counter[str]:
    return Counter(node.op_type for node in model.graph)


def simulated(model: ir.Model) -> Any:
    return GraphRunner(model, optimize=False).run(IMAGES)[model.graph.outputs[0].name or ""]


def two_branches(builder: Any) -> ir.Model:
    """A clamped and an unclamped convolution that a concatenation gives one range."""
    clamped = builder.relu6(builder.conv(builder.image, 4))
    return builder.model(builder.op("Concat", clamped, builder.conv(builder.image, 4), axis=1))  # type: ignore[no-any-return]


def test_an_implied_clamp_goes_without_a_trace(new_graph: Any, quantize_small: Any) -> None:
    builder = new_graph([1, 3, 8, 8])
    model = quantize_small(builder.model(builder.relu6(builder.conv(builder.image, 4))), IMAGES)
    want = simulated(model)
    assert drop_implied_clamps(model)
    assert "Clip" not in operators(model)
    assert np.array_equal(simulated(model), want)
    assert not drop_implied_clamps(model)


def test_a_clamp_that_is_not_implied_moves_to_the_integers(new_graph: Any, quantize_small: Any) -> None:
    model = quantize_small(two_branches(new_graph([1, 3, 8, 8])), IMAGES)
    want = simulated(model)
    assert not drop_implied_clamps(model)
    assert clamp_integers(model)
    clip = next(node for node in model.graph if node.op_type == "Clip")
    assert clip.inputs[0] is not None
    assert clip.inputs[0].dtype == ir.DataType.INT8
    assert np.array_equal(simulated(model), want)


def test_uint8_is_the_same_quantization(small_network: ir.Model, quantize_small: Any) -> None:
    images = np.random.default_rng(3).standard_normal((2, 3, 24, 24)).astype(np.float32)
    model = quantize_small(small_network, images)
    name = model.graph.outputs[0].name
    want = GraphRunner(model, optimize=False).run(images)[name]
    assert shift_to_uint8(model)
    assert np.array_equal(GraphRunner(model, optimize=False).run(images)[name], want)
    quantizers = [node for node in model.graph if node.op_type == "QuantizeLinear"]
    assert {node.outputs[0].dtype for node in quantizers} == {ir.DataType.UINT8}


@pytest.mark.parametrize("op_type", ["HardSwish", "HardSigmoid"])
def test_hard_activations_become_sums_and_products(op_type: str, new_graph: Any, quantize_small: Any) -> None:
    builder = new_graph([1, 3, 8, 8])
    attributes = {"alpha": 1 / 6, "beta": 0.5} if op_type == "HardSigmoid" else {}
    x = builder.conv(builder.image, 4)
    model = quantize_small(builder.model(builder.op(op_type, x, **attributes)), 3 * IMAGES)
    want = simulated(model)
    scale = np.abs(np.diff(np.unique(want))).min()
    assert lower_hard_activations(model)
    drop_implied_clamps(model)
    assert not operators(model).keys() & {"HardSwish", "HardSigmoid", "Clip"}
    # The gate's own rounding, 1/255, is at most half a step of |x| / 255 more.
    assert np.abs(simulated(model) - want).max() < 2.1 * scale


def test_hard_activations_of_float_graphs_stay(new_graph: Any) -> None:
    builder = new_graph([1, 3, 8, 8])
    model = builder.model(builder.op("HardSwish", builder.image))
    assert not lower_hard_activations(model)


def test_hard_sigmoid_expands_to_its_definition(new_graph: Any) -> None:
    builder = new_graph([1, 3, 8, 8])
    model = builder.model(builder.op("HardSigmoid", builder.image, alpha=1 / 6, beta=0.5))
    want = np.clip(4 * IMAGES / 6 + 0.5, 0, 1)
    assert expand_hard_sigmoid(model)
    got = GraphRunner(model).run(4 * IMAGES)["logits"]
    assert got == pytest.approx(want, abs=1e-6)


def test_silu_keeps_only_its_outer_pairs(new_graph: Any, quantize_small: Any) -> None:
    builder = new_graph([1, 3, 8, 8])
    x = builder.conv(builder.image, 4)
    model = builder.model(builder.op("Mul", x, builder.op("Sigmoid", x)))
    exact = GraphRunner(model).run(IMAGES)["logits"]
    quantize_small(model, IMAGES)
    before = np.square(simulated(model) - exact).sum()
    assert merge_silu(model)
    product = next(node for node in model.graph if node.op_type == "Mul")
    producers = {value.producer().op_type for value in product.inputs}
    assert producers == {"Conv", "Sigmoid"}
    assert np.square(simulated(model) - exact).sum() < before


@pytest.mark.parametrize("axis", [0, 1])
def test_symmetric_int8_uses_the_whole_range(axis: int) -> None:
    weights: npt.NDArray[np.float32] = (
        np.random.default_rng(0).standard_normal((5, 7, 3, 3)).astype(np.float32)
    )
    weights[2] = 0
    integers, scales = symmetric_int8(weights, axis)
    others = tuple(i for i in range(4) if i != axis)
    assert scales.shape == tuple(n if i == axis else 1 for i, n in enumerate(weights.shape))
    assert set(np.abs(integers.astype(int)).max(axis=others)) <= {0, 127}
    assert np.abs(integers * scales - weights).max() <= 0.5001 * scales.max()
