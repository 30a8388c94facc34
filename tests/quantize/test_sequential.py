"""The walk through the network against onnxruntime on the quantized graph, and each stage's promise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir
import pytest

from edgekit.graph.qdq import QuantizedTensor
from edgekit.graph.run import GraphRunner
from edgekit.graph.subgraph import values_by_name
from edgekit.graph.values import array_of
from edgekit.quantize.arithmetic import ActivationParams, activation_params, quantize_weight, weight_scale
from edgekit.quantize.options import QuantizeOptions
from edgekit.quantize.plan import Layer, make_plan
from edgekit.quantize.reference import run_reference
from edgekit.quantize.rewrite import rewrite
from edgekit.quantize.sequential import quantize_constants
from graphs import NETWORKS, FloatArray, GraphBuilder
from small_pictures import network

PLAIN = QuantizeOptions(rounding="nearest", gain_correction=False, bias_correction=False)
CORRECTED = replace(PLAIN, bias_correction=True)
STAGES = {"plain": PLAIN, "corrected": CORRECTED, "all": QuantizeOptions()}


@dataclass(frozen=True)
class Walked:
    """What a walk over ``images`` gave: parameters, constants and logits, and the graph made of them."""

    layers: Mapping[str, Layer]
    params: Mapping[str, ActivationParams]
    images: FloatArray
    constants: Mapping[str, Mapping[int, QuantizedTensor]]
    logits: FloatArray
    quantized: ir.Model

    def integers(self, layer: str, index: int) -> FloatArray:
        values = self.constants[layer][index].values
        assert values is not None
        return values.astype(np.float32)


def pictures(*shape: int, count: int = 20) -> FloatArray:
    return np.random.default_rng(1).standard_normal((count, *shape)).astype(np.float32)


def walk(model: ir.Model, images: FloatArray, options: QuantizeOptions, reach: float = 1.0) -> Walked:
    """Quantize with ranges of ``reach`` × the extremes of each group."""
    plan = make_plan(model)
    values = GraphRunner(model, plan.values).run(images)
    params: dict[str, ActivationParams] = {}
    for i, group in enumerate(plan.groups):
        low, high = min(values[n].min() for n in group), max(values[n].max() for n in group)
        shared = plan.fixed.get(i) or activation_params(reach * float(low), reach * float(high))
        params.update(dict.fromkeys(group, shared))
    means = run_reference(model, plan, images).means
    constants, logits = quantize_constants(model, plan, params, images, means, options)
    layers = {layer.name: layer for layer in plan.layers}
    quantized = rewrite(model, plan, params, constants)
    return Walked(layers, params, images, constants, logits, quantized)


def raw_outputs(model: ir.Model, walked: Walked) -> dict[str, tuple[FloatArray, FloatArray]]:
    """What each weighted layer answers before its clamp, in the fp32 and in the quantized network."""
    raws = {layer.name: layer.raw for layer in walked.layers.values() if layer.is_weighted}
    names = {raw: raw if raw != "logits" else _before_pair(walked.quantized) for raw in raws.values()}
    expected = GraphRunner(model, list(names)).run(walked.images)
    found = GraphRunner(walked.quantized, list(names.values()), optimize=False).run(walked.images)
    return {layer: (expected[raw], found[names[raw]]) for layer, raw in raws.items()}


def in_steps(walked: Walked) -> FloatArray:
    """The difference of the walk's logits and onnxruntime's, in steps of the output's scale."""
    found = GraphRunner(walked.quantized, optimize=False).run(walked.images)["logits"]
    steps: FloatArray = np.abs(found - walked.logits) / np.float32(walked.params["logits"].scale)
    return steps


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("stage", STAGES)
def test_onnxruntime_gives_the_walks_integers(name: str, stage: str) -> None:
    """But for numbers that float32 rounds to the other side of a half."""
    steps = in_steps(walk(network(name), pictures(3, 24, 24), STAGES[stage]))
    assert steps.max() < 1.01
    assert np.mean(steps < 0.01) >= 0.99


Build = Callable[[GraphBuilder], ir.Value]
CORNERS: dict[str, Build] = {
    "one layer": lambda b: b.conv(b.image, 4),
    "no weights": lambda b: b.op("GlobalAveragePool", b.image),
    "a square": lambda b: b.op("Mul", b.image, b.image),
    "itself twice": lambda b: b.op("Concat", b.image, b.image, axis=1),
    "grouped and dilated": lambda b: b.conv(b.conv(b.image, 8, dilation=2), 8, group=4),
    "constant operands": lambda b: b.op("Sub", np.float32(1), b.op("Add", b.image, b.normal(1, 4, 1, 1))),
    "a range beyond the clamp": lambda b: b.conv(
        b.op("Concat", b.image, b.relu6(b.conv(b.image, 4, 1)), axis=1), 4
    ),
    "a clamp without zero": lambda b: b.op("Clip", b.conv(b.image, 4), np.float32(1), np.float32(2)),
    "several readers": lambda b: _gate(b, b.conv(b.image, 4)),
    "a sum with itself": lambda b: _residual(b, b.conv(b.image, 4)),
    "an output that others read": lambda b: _dead_end(b, b.conv(b.image, 4)),
    "gates side by side": lambda b: b.op(
        "Concat", b.op("Sigmoid", b.image), b.op("Sigmoid", b.image), axis=1
    ),
}


def _beside_image(b: GraphBuilder, x: ir.Value) -> ir.Value:
    return b.conv(b.op("Concat", b.image, x, axis=1), 4)


def _gate(b: GraphBuilder, x: ir.Value) -> ir.Value:
    return b.op("Add", b.op("Mul", x, b.op("Sigmoid", x)), b.op("Relu", x))


def _residual(b: GraphBuilder, x: ir.Value) -> ir.Value:
    return b.op("Add", x, b.conv(x, 4, 1))


def _dead_end(b: GraphBuilder, x: ir.Value) -> ir.Value:
    b.op("Relu", x)
    return x


@pytest.mark.parametrize("corner", CORNERS)
def test_unusual_graphs_are_walked_as_they_run(corner: str) -> None:
    builder = GraphBuilder([1, 4, 10, 10])
    steps = in_steps(walk(builder.model(CORNERS[corner](builder)), pictures(4, 10, 10), STAGES["all"]))
    assert steps.max() < 1.01
    assert np.mean(steps < 0.01) >= 0.99


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("stage", ["corrected", "all"])
@pytest.mark.parametrize("reach", [1.0, 0.6])
def test_bias_correction_gives_each_layer_the_fp32_mean(name: str, stage: str, reach: float) -> None:
    """Even where ranges clip, to half a step of the bias."""
    model, images = network(name), pictures(3, 24, 24, count=11)
    walked = walk(model, images, STAGES[stage], reach)
    for layer, (expected, found) in raw_outputs(model, walked).items():
        axes = (0, *range(2, expected.ndim))
        difference = expected.mean(axes, dtype=np.float64) - found.mean(axes, dtype=np.float64)
        half = walked.constants[layer][2].scale / 2
        # The walk scales sums by their gain where the network scales weights: some ties round apart.
        assert np.all(np.abs(difference) <= half + 3e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", NETWORKS)
def test_gain_correction_gives_each_layer_the_fp32_strength(name: str) -> None:
    """Regressed on the int8 network's outputs, fp32's have the slope 1."""
    model, images = network(name), pictures(3, 24, 24, count=8)
    walked = walk(model, images, STAGES["all"], reach=0.95)
    plain = walk(model, images, replace(STAGES["all"], gain_correction=False), reach=0.95)
    corrected, uncorrected = (
        np.asarray([_slope(*pair) for pair in raw_outputs(model, one).values()]) for one in (walked, plain)
    )
    assert np.abs(corrected - 1).max() < 1e-3
    assert np.abs(uncorrected - 1).max() > 3e-3


def _slope(expected: FloatArray, actual: FloatArray) -> float:
    axes = (0, *range(2, expected.ndim))
    ours, theirs = (one - one.mean(axes, keepdims=True, dtype=np.float64) for one in (expected, actual))
    return float((ours * theirs).sum() / np.square(theirs).sum())


def test_a_gain_changes_scales_and_no_weight() -> None:
    builder = GraphBuilder([1, 3, 16, 16])
    model, images = builder.model(builder.conv(builder.image, 4)), pictures(3, 16, 16, count=8)
    corrected, plain = (
        walk(model, images, replace(STAGES["all"], gain_correction=on), reach=0.5) for on in (True, False)
    )
    np.testing.assert_array_equal(corrected.integers("logits", 1), plain.integers("logits", 1))
    gains = corrected.constants["logits"][1].scale / plain.constants["logits"][1].scale
    assert gains.shape == (4,)
    assert np.ptp(gains) < 1e-6
    assert abs(gains[0] - 1) > 0.01


def test_without_bias_correction_no_gain_is_changed() -> None:
    """A gain would move the mean, which nothing brings back."""
    model, images = network("plain"), pictures(3, 24, 24, count=8) + 3
    options = replace(STAGES["all"], bias_correction=False)
    found, plain = (
        walk(model, images, replace(options, gain_correction=on), reach=0.9) for on in (True, False)
    )
    np.testing.assert_array_equal(found.logits, plain.logits)


def _before_pair(quantized: ir.Model) -> str:
    """Name of the float value that the output's Q/DQ pair quantizes."""
    value = quantized.graph.outputs[0]
    for _ in range(2):
        node = value.producer()
        assert node is not None
        assert node.inputs[0] is not None
        value = node.inputs[0]
    return value.name or ""


def test_without_correction_layers_keep_their_bias_and_a_shift() -> None:
    model, images = network("plain"), pictures(3, 24, 24)
    plain, corrected = walk(model, images, PLAIN), walk(model, images, CORRECTED)
    for node in model.graph:
        if node.op_type not in ("Conv", "Gemm"):
            continue
        bias, name = np.asarray(array_of(node.inputs[2])), node.name or ""
        constant = plain.constants[name][2]
        kept = plain.integers(name, 2) * constant.scale
        assert np.abs(kept - bias).max() <= constant.scale.max() * 0.51
        assert not np.array_equal(plain.integers(name, 2), corrected.integers(name, 2))


def test_rounding_to_nearest_is_what_it_says_and_compensation_is_not() -> None:
    model, images = network("plain"), pictures(3, 24, 24)
    nearest = walk(model, images, replace(CORRECTED, pair_sums=False))
    compensated = walk(model, images, replace(STAGES["all"], pair_sums=False))
    changed = 0
    for node in model.graph:
        if node.op_type not in ("Conv", "Gemm"):
            continue
        weight, name = np.asarray(array_of(node.inputs[1]), np.float32), node.name or ""
        expected = quantize_weight(weight, weight_scale(weight))
        np.testing.assert_array_equal(nearest.integers(name, 1), expected)
        changed += int(np.sum(compensated.integers(name, 1) != expected))
    assert changed > 0


@pytest.mark.parametrize("seed", range(3))
def test_compensation_lowers_the_error_of_a_layer_with_smooth_inputs(seed: int) -> None:
    builder = GraphBuilder([1, 3, 16, 16], seed)
    model = builder.model(builder.conv(builder.image, 16))
    smooth = (np.cumsum(np.cumsum(pictures(3, 16, 16, count=24), axis=2), axis=3) / 16).astype(np.float32)
    expected = GraphRunner(model).run(smooth)["logits"]
    errors = []
    for options in (CORRECTED, STAGES["all"]):
        walked = walk(model, smooth, options)
        raw = GraphRunner(walked.quantized, [_before_pair(walked.quantized)], optimize=False).run(smooth)
        errors.append(float(np.square(next(iter(raw.values())) - expected).mean()))
    assert errors[1] < 0.9 * errors[0]  # both hold the inputs' own rounding


def test_without_correction_compensation_minds_the_mean() -> None:
    builder = GraphBuilder([1, 3, 16, 16])
    model, images = builder.model(builder.conv(builder.image, 16)), pictures(3, 16, 16) + 8
    mean = GraphRunner(model).run(images)["logits"].mean((0, 2, 3))
    shifts = []
    for options in (PLAIN, replace(STAGES["all"], bias_correction=False)):
        shifts.append(np.abs(walk(model, images, options).logits.mean((0, 2, 3)) - mean).mean())
    assert shifts[1] < 0.3 * shifts[0]


def test_a_classifier_may_have_one_scale() -> None:
    options = replace(STAGES["all"], per_channel_linear=False)
    walked = walk(network("plain"), pictures(3, 24, 24), options)
    weight, bias = (walked.constants["logits"][index] for index in (1, 2))
    assert (weight.scale.shape, weight.axis, bias.scale.shape, bias.axis) == ((), None, (), None)
    assert in_steps(walked).max() < 1.01
    convolution = next(layer for layer in walked.layers.values() if layer.op_type == "Conv")
    assert walked.constants[convolution.name][1].axis == 0


def scaled(model: ir.Model, index: int, factor: float) -> ir.Model:
    """The model with the first node's weight (1) or bias (2) times ``factor``."""
    value = next(iter(model.graph)).inputs[index]
    assert value is not None
    array = array_of(value)
    assert array is not None
    value.const_value = ir.tensor((array.astype(np.float32) * np.float32(factor)), name=value.name)
    return model


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(("weight", "bias"), [(1e-9, 1.0), (1e-3, 1e7), (1.0, 1e12), (0.0, 1.0), (0.0, 0.0)])
def test_a_bias_that_does_not_fit_widens_its_weights_scale(stage: str, weight: float, bias: float) -> None:
    builder = GraphBuilder([1, 3, 10, 10])
    model = builder.model(builder.conv(builder.image, 4))
    scaled(scaled(model, 1, weight), 2, bias)
    images = pictures(3, 10, 10)
    walked = walk(model, images, STAGES[stage])
    expected = GraphRunner(model).run(images)["logits"]
    error = np.abs(GraphRunner(walked.quantized).run(images)["logits"] - expected).max()
    assert error <= walked.params["logits"].scale * 0.51 + 0.02 * np.ptp(expected, axis=(0, 2, 3)).max()


def test_means_far_from_the_bias_fit_too() -> None:
    """A range that clips nearly everything makes corrections far larger than the bias."""
    builder = GraphBuilder([1, 3, 10, 10])
    model = scaled(builder.model(builder.conv(builder.image, 4)), 2, 0.0)
    images = pictures(3, 10, 10) + 1000
    walked = walk(model, images, CORRECTED, reach=1e-9)
    mean = GraphRunner(model).run(images)["logits"].mean((0, 2, 3))
    constant = walked.constants["logits"][2]
    assert np.abs(walked.integers("logits", 2)).max() < 2**31
    np.testing.assert_allclose(walked.integers("logits", 2) * constant.scale, mean, rtol=1e-3, atol=1e-3)


def test_dead_channels_and_layers_stay_dead() -> None:
    builder = GraphBuilder([1, 3, 10, 10])
    x = builder.conv(builder.image, 4)
    scaled_bias = values_by_name(ir.Model(builder.graph, ir_version=10))
    bias = scaled_bias[f"{x.name}.input2"]
    bias.const_value = ir.tensor(np.asarray([-100, -100, -100, -100], np.float32), name=bias.name)
    model = builder.model(builder.conv(builder.op("Relu", x), 4))
    images = pictures(3, 10, 10)
    walked = walk(model, images, STAGES["all"])
    expected = GraphRunner(model).run(images)["logits"]
    assert np.abs(walked.logits - expected).max() <= walked.params["logits"].scale * 0.51


def test_the_walk_repeats_itself() -> None:
    first, second = (walk(network("gated"), pictures(3, 24, 24), STAGES["all"]) for _ in range(2))
    np.testing.assert_array_equal(first.logits, second.logits)
    for name, constants in first.constants.items():
        for index in constants:
            np.testing.assert_array_equal(first.integers(name, index), second.integers(name, index))


def test_progress_counts_layers() -> None:
    model, images = network("plain"), pictures(3, 24, 24, count=2)
    plan = make_plan(model)
    seen: list[tuple[str, int, int]] = []
    params = dict.fromkeys(plan.values, ActivationParams(0.1, 0))
    quantize_constants(model, plan, params, images, {}, PLAIN, lambda *event: seen.append(event))
    assert seen == [("quantize", done, len(plan.layers)) for done in range(1, len(plan.layers) + 1)]
