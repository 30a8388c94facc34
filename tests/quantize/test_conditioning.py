"""Conditioning against onnxruntime: the same function, in numbers that quantize better."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx_ir as ir
import pytest

from edgekit.errors import InputError
from edgekit.graph.subgraph import values_by_name
from edgekit.graph.values import array_of
from edgekit.parity import sqnr_db
from edgekit.quantize import ActivationParams, QuantizeOptions
from edgekit.quantize.channels import ChannelGraph, measure_channels
from edgekit.quantize.conditioning import Conditioned, condition
from edgekit.quantize.equalize import equalize
from edgekit.quantize.options import CONDITIONING
from edgekit.quantize.plan import make_plan
from edgekit.quantize.stages import quantize_in_stages
from edgekit.quantize.streams import streams
from graphs import NETWORKS, FloatArray, GraphBuilder
from small_pictures import SHAPE, run

PIXELS = ActivationParams(1 / 32, 0)


def pictures(count: int = 12, seed: int = 0) -> FloatArray:
    """Smooth ones, which :data:`PIXELS` hold exactly."""
    white = np.random.default_rng(seed).standard_normal((count, 1, *SHAPE))
    smooth = np.cumsum(np.cumsum(white, axis=3), axis=4) / 24
    return (np.rint(smooth / PIXELS.scale).clip(-128, 127) * PIXELS.scale).astype(np.float32)


def put(model: ir.Model, name: str, array: FloatArray) -> None:
    """Give a constant other numbers."""
    values_by_name(model)[name].const_value = ir.tensor(array.astype(np.float32), name=name)


def change(model: ir.Model, name: str, factors: FloatArray) -> None:
    """Multiply a constant along its first axis."""
    array = array_of(values_by_name(model)[name])
    assert array is not None
    put(model, name, array.astype(np.float32) * factors.reshape([-1] + [1] * (array.ndim - 1)))


def residual(spread: float = 1.0, offset: float = 0.0) -> ir.Model:
    """One function in better or worse numbers: linear channels enlarged up to ``spread``, and moved."""
    b = GraphBuilder([1, *SHAPE])
    x = b.conv(b.image, 8, stride=2)
    inner = b.relu6(b.conv(b.relu6(b.conv(x, 16, 1)), 16, group=16, pads=(1, 1, 1, 1)))
    x = b.op("Add", x, b.conv(inner, 8, 1))
    model = b.model(b.conv(x, 8, 1))
    plan = make_plan(model)
    graph = ChannelGraph(model, plan, measure_channels(model, plan, pictures(2)))
    (stream,) = streams(graph)
    factors = np.geomspace(1, spread, 8, dtype=np.float32)
    shift = np.full(8, -offset, np.float32)
    for layer in stream.producers:
        graph.scale_output(layer, factors)
        graph.shift_output(layer, shift)
    for name in stream.values:
        for reader in graph.readers(name):
            if reader in stream.readers:
                graph.divide_input(reader, factors)
                graph.add_to_input(reader, shift * (2 if name == x.name else 1))
    return graph.model


def conditioned(model: ir.Model, images: FloatArray, skip: Collection[str] = ()) -> Conditioned:
    return condition(model, make_plan(model), images, skip=skip)


def only(stage: str) -> frozenset[str]:
    return CONDITIONING - {stage}


@pytest.mark.parametrize("name", [*NETWORKS, "residual"])
@pytest.mark.parametrize("stage", [*sorted(CONDITIONING), "all"])
def test_the_function_stays_the_same(name: str, stage: str) -> None:
    b = GraphBuilder([1, *SHAPE])
    model = residual(30, 5) if name == "residual" else b.model(NETWORKS[name](b))
    skip = () if stage == "all" else only(stage)
    changed = conditioned(model, pictures(4), skip).model
    expected, found = run(model, pictures(20, seed=1)), run(changed, pictures(20, seed=1))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    assert [node.op_type for node in changed.graph] == [node.op_type for node in model.graph]


def quality(model: ir.Model, skip: Collection[str]) -> float:
    """SQNR of the quantized network on images never seen, in dB."""
    images = pictures(8)
    options = QuantizeOptions(ranges="minmax")
    result = quantize_in_stages(model, list(images), options, skip, input_params=PIXELS)
    unseen = pictures(12, seed=1)
    return sqnr_db(run(model, unseen), run(result.model, unseen))


def test_equalization_helps_badly_scaled_channels() -> None:
    model = residual(spread=30)
    assert quality(model, only("equalize")) > quality(model, CONDITIONING) + 2


def test_enlarged_channels_of_a_sum_keep_room_for_other_images() -> None:
    """Up to two thirds of the largest channel, and none is made smaller."""
    model = residual(spread=30)
    plan, images = make_plan(model), pictures(4)
    before = measure_channels(model, plan, images)
    graph = ChannelGraph(model, plan, before)
    (stream,) = streams(graph)
    equalize(graph)
    after = measure_channels(graph.model, plan, images)
    factors = np.stack([after[name].reach / before[name].reach for name in stream.values])
    np.testing.assert_allclose(factors, np.broadcast_to(factors[0], factors.shape), rtol=1e-3)
    relative = np.max([after[name].reach / after[name].reach.max() for name in stream.values], axis=0)
    enlarged = factors[0] > 1.001
    assert enlarged.any()
    assert factors.min() > 0.999
    assert relative[enlarged].max() <= 2 / 3 + 1e-3


def test_absorption_helps_channels_far_from_zero() -> None:
    model = residual(offset=20)
    assert quality(model, only("absorb-biases")) > quality(model, CONDITIONING) + 3


def block(dead: int) -> ir.Model:
    """A depthwise block whose channel 5 is a loud difference of neighbours, with ``dead`` channels."""
    b = GraphBuilder([1, *SHAPE])
    first = b.conv(b.image, 8)
    depthwise = b.conv(b.relu6(first), 8, group=8, pads=(1, 1, 1, 1))
    model = b.model(b.conv(b.relu6(depthwise), 8, 1))
    weight, bias, filters = (
        np.array(array_of(values_by_name(model)[name]))
        for name in (f"{first.name}.input1", f"{first.name}.input2", f"{depthwise.name}.input1")
    )
    weight[:dead], bias[:dead] = 0, -0.01
    weight[5], bias[5] = weight[5] / 5, 3  # inside the clamp, whatever the picture
    filters[5] = 0
    filters[5, 0, 1, :2] = 12, -12
    put(model, f"{first.name}.input1", weight)
    put(model, f"{first.name}.input2", bias)
    put(model, f"{depthwise.name}.input1", filters)
    return model


def test_dead_channels_repeat_the_loudest_and_round_apart() -> None:
    model = block(dead=3)
    found = conditioned(model, pictures(4), only("spare-channels"))
    (stagger,) = found.staggers
    assert sorted(stagger.steps[[0, 1, 2, 5]]) == pytest.approx([-3 / 8, -1 / 8, 1 / 8, 3 / 8])
    expected, changed = run(model, pictures(9)), run(found.model, pictures(9))
    np.testing.assert_allclose(changed, expected, rtol=1e-4, atol=1e-5)


def test_spare_channels_lower_the_noise() -> None:
    model = block(dead=3)
    assert quality(model, only("spare-channels")) > quality(model, CONDITIONING) + 1


def test_without_dead_channels_nothing_is_filled() -> None:
    assert conditioned(block(dead=0), pictures(4)).staggers == ()


def test_a_ceiling_is_never_reached_by_what_was_enlarged() -> None:
    """ReLU6 is not homogeneous at 6: images beyond those seen still give the same answer."""
    model = residual(spread=30)
    changed = conditioned(model, pictures(2)).model
    wild = pictures(2) * 3.9
    np.testing.assert_allclose(run(changed, wild), run(model, wild), rtol=1e-3, atol=1e-3)


def test_relu_channels_become_alike() -> None:
    b = GraphBuilder([1, *SHAPE])
    x = b.conv(b.image, 8)
    model = b.model(b.conv(b.op("Relu", x), 4))
    change(model, f"{x.name}.input1", np.geomspace(0.01, 1, 8, dtype=np.float32))
    change(model, f"{x.name}.input2", np.geomspace(0.01, 1, 8, dtype=np.float32))
    plan, images = make_plan(model), pictures(6)
    graph = ChannelGraph(model, plan, measure_channels(model, plan, images))
    assert equalize(graph) == 1
    measured = measure_channels(graph.model, plan, images)
    name = plan.layers[0].output
    np.testing.assert_allclose(measured[name].high, graph.ranges[name].high, rtol=1e-4)
    before, after = (m[name].high for m in (measure_channels(model, plan, images), measured))
    assert after.max() / after.min() < before.max() / before.min() / 3


def test_layers_that_stay_float_are_left_alone() -> None:
    model = residual(spread=30, offset=5)
    names = [layer.name for layer in make_plan(model).layers]
    found = condition(model, make_plan(model, names), pictures(3))
    np.testing.assert_array_equal(run(found.model, pictures(3)), run(model, pictures(3)))
    assert found.staggers == ()


def test_a_value_that_is_not_finite_is_named() -> None:
    model = block(dead=0)
    name = next(iter(model.graph)).name
    put(model, f"{name}.input2", np.full(8, np.nan, np.float32))
    with pytest.raises(InputError, match="is not finite on a calibration image"):
        conditioned(model, pictures(1))
