"""The quantizer as a whole, run by onnxruntime: closed-form noise, options, odd networks and images."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from edgekit.graph import qdq
from edgekit.graph.run import GraphRunner
from edgekit.graph.verify import verify
from edgekit.options import Preprocessing, RangeMethod
from edgekit.parity import sqnr_db
from edgekit.quantize import (
    ActivationParams,
    QuantizationResult,
    QuantizeOptions,
    observe,
    pixel_params,
    quantize,
)
from edgekit.quantize.ranges import METHODS
from graphs import NETWORKS, FloatArray, GraphBuilder

SHAPE = (3, 24, 24)


def network(name: str) -> ir.Model:
    builder = GraphBuilder([1, *SHAPE])
    return builder.model(NETWORKS[name](builder))


def pictures(*shape: int, count: int = 12, seed: int = 0) -> FloatArray:
    """Images, one at a time as calibration gives them: ``[count, 1, …]``."""
    return np.random.default_rng(seed).standard_normal((count, 1, *shape)).astype(np.float32)


def run(model: ir.Model, images: FloatArray) -> FloatArray:
    """Logits ``[count, …]``, all but the first dimension in one."""
    return GraphRunner(model).run(images[:, 0])["logits"].reshape(len(images), -1)


def quantized(model: ir.Model, images: FloatArray, **options: object) -> QuantizationResult:
    return quantize(model, observe(model, images), QuantizeOptions(**options))  # type: ignore[arg-type]


def params_of(model: ir.Model) -> dict[str, ActivationParams]:
    """Parameters of every quantized value, by the name of the float value that it stands for."""
    found = {}
    for node in model.graph:
        if node.op_type == "QuantizeLinear" and node.inputs[0] is not None:
            tensor = qdq.dequantized_from(next(iter(node.outputs[0].uses())).node.outputs[0])
            assert tensor is not None
            name = node.outputs[0].name or ""
            found[name.removesuffix(".quantized")] = ActivationParams(float(tensor.scale), tensor.zero_point)
    return found


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("ranges", METHODS)
def test_small_networks_lose_little_on_images_never_seen(name: str, ranges: str) -> None:
    model = network(name)
    result = quantized(model, pictures(*SHAPE, count=40), ranges=ranges)
    images = pictures(*SHAPE, count=20, seed=1)
    least = 20 if ranges == "entropy" else 30  # it keeps what is frequent, not what is large
    assert sqnr_db(run(model, images), run(result.model, images)) > least


@pytest.mark.parametrize("seed", range(3))
def test_the_noise_of_a_layer_is_what_rounding_theory_says(seed: int) -> None:
    """Uniform errors of step² / 12 in inputs, weights and output, independent of each other."""
    inputs, outputs = 256, 64
    b = GraphBuilder([1, inputs], seed)
    model = b.model(b.gemm(b.image, outputs))
    images = np.random.default_rng(seed).uniform(-1, 1, (60, 1, inputs)).astype(np.float32)
    result = quantized(model, images, ranges="minmax", rounding="nearest", pair_sums=False)
    expected = run(model, images)
    weight = next(iter(model.graph)).inputs[1]
    assert weight is not None
    assert weight.const_value is not None
    weights = weight.const_value.numpy()
    params = params_of(result.model)
    weight_steps = np.abs(weights).max(axis=1) / 127
    noise = (
        inputs * np.square(weights).mean() * params["image"].scale ** 2 / 12
        + inputs * np.square(images).mean() * np.square(weight_steps).mean() / 12
        + params["logits"].scale ** 2 / 12
    )
    measured = np.square(run(result.model, images) - expected).mean()
    assert 10 * np.log10(measured / noise) == pytest.approx(0, abs=0.4)


@pytest.mark.parametrize("ranges", METHODS)
def test_an_answer_somewhat_beyond_those_seen_is_not_cut_off(ranges: RangeMethod) -> None:
    model, images = network("fire"), pictures(*SHAPE)
    observation = observe(model, images)
    seen = observation.observers[observation.plan.output]
    params = params_of(quantize(model, observation, QuantizeOptions(ranges)).model)[observation.plan.output]
    assert params.low <= 1.1 * seen.low + params.scale
    assert params.high >= 1.1 * seen.high - params.scale


@pytest.mark.parametrize("name", NETWORKS)
def test_the_report_is_of_the_graph(name: str) -> None:
    model, images = network(name), pictures(*SHAPE)
    result = quantized(model, images)
    report = result.report
    assert (report.images, report.carried_images) == (12, 12)
    assert report.sqnr_db == pytest.approx(sqnr_db(run(model, images), run(result.model, images)), abs=0.2)


def test_auto_takes_the_method_that_suits() -> None:
    """The network hands its input on: numbers in [0, 1], but for a single 2 in one of the images."""
    b = GraphBuilder([1, 3, 64, 64])
    model = b.model(b.op("MaxPool", b.image, kernel_shape=[1, 1], strides=[1, 1], pads=[0] * 4))
    images = np.random.default_rng(0).uniform(0, 1, (60, 1, 3, 64, 64)).astype(np.float32)
    images[50, 0, 1, 3, 4] = 2
    observation, rest = observe(model, images), images[:50]
    results = {ranges: quantize(model, observation, QuantizeOptions(ranges)) for ranges in ("auto", "minmax")}
    scores = {name: sqnr_db(run(model, rest), run(r.model, rest)) for name, r in results.items()}
    report = results["auto"].report
    assert set(report.trial_sqnr_db) == set(METHODS)
    assert report.ranges == max(METHODS, key=lambda method: report.trial_sqnr_db[method]) != "minmax"
    assert scores["auto"] == pytest.approx(scores["minmax"] + 6, abs=0.5)  # steps half as wide
    assert (results["minmax"].report.ranges, results["minmax"].report.trial_sqnr_db) == ("minmax", {})


@pytest.mark.parametrize("name", NETWORKS)
def test_shared_ranges_are_equal_and_fixed_ones_exact(name: str) -> None:
    model = network(name)
    params = params_of(quantized(model, pictures(*SHAPE)).model)
    for node in model.graph:
        output = node.outputs[0].name or ""
        if node.op_type in ("MaxPool", "Concat", "Flatten"):
            assert {params[value.name or ""] for value in node.inputs if value is not None} == {
                params[output]
            }
        if node.op_type == "Sigmoid":
            assert params[output] == ActivationParams(1 / 256, -128)
        if node.op_type in ("Relu", "Clip"):
            assert params[output].zero_point == -128


def test_the_inputs_parameters_can_be_given() -> None:
    given = pixel_params(Preprocessing(mean=(127 / 255,) * 3, std=(128 / 255,) * 3))
    model, images = network("plain"), pictures(*SHAPE)
    result = quantize(model, observe(model, images), input_params=given)
    assert params_of(result.model)["image"] == given


@pytest.mark.parametrize("ranges", METHODS)
def test_given_parameters_do_not_clip_what_is_joined_with_the_input(ranges: RangeMethod) -> None:
    b = GraphBuilder([1, *SHAPE])
    wide = b.op("Mul", b.image, np.float32(50), name="wide")
    pooled = b.op("MaxPool", b.image, kernel_shape=[1, 1], strides=[1, 1], pads=[0, 0, 0, 0], name="copy")
    model = b.model(b.op("Concat", wide, pooled, axis=1))
    images, given = pictures(*SHAPE), ActivationParams(1 / 128, -1)
    observation = observe(model, images)
    params = params_of(quantize(model, observation, QuantizeOptions(ranges), input_params=given).model)
    assert len(set(params.values())) == 1
    least = {"mse": 40, "entropy": 25}.get(ranges, 0.99 * 50 * images.max())
    assert params["image"].high >= least
    assert params["image"].low <= given.low


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("images", ["one", "constant", "black"])
def test_poor_calibration_images_still_give_a_network(name: str, images: str) -> None:
    model = network(name)
    given = {
        "one": pictures(*SHAPE, count=1),
        "constant": np.full((3, 1, *SHAPE), 0.5, np.float32),
        "black": np.zeros((3, 1, *SHAPE), np.float32),
    }[images]
    result = quantized(model, given)
    assert sqnr_db(run(model, given), run(result.model, given)) > 30


def test_everything_repeats_itself() -> None:
    model, images = network("gated"), pictures(*SHAPE)
    first, second = (ir.to_proto(quantized(model, images).model).SerializeToString() for _ in range(2))
    assert first == second


def test_one_observation_serves_several_quantizations() -> None:
    model, images = network("fire"), pictures(*SHAPE)
    observation = observe(model, images)
    once = quantize(model, observation)
    quantize(model, observation, QuantizeOptions("minmax", "nearest", bias_correction=False))
    again = quantize(model, observation)
    assert once.report == again.report
    np.testing.assert_array_equal(run(once.model, images), run(again.model, images))


@pytest.mark.parametrize("rounding", ["nearest", "compensated"])
def test_bias_correction_brings_logits_nearer(rounding: str) -> None:
    """On smooth images, as photographs are, whose errors add up in one direction."""
    model = network("plain")
    smooth = (np.cumsum(np.cumsum(pictures(*SHAPE, count=16), axis=3), axis=4) / 24).astype(np.float32)
    without, corrected = (
        quantized(
            model,
            smooth,
            ranges="minmax",
            rounding=rounding,
            weight_scales="largest",
            bias_correction=correction,
        ).report
        for correction in (False, True)
    )
    assert corrected.sqnr_db > without.sqnr_db + 1


def test_a_quantized_graph_is_canonical() -> None:
    b = GraphBuilder([1, *SHAPE])
    x = b.conv(b.image, 4)
    model = b.model(b.gemm(b.op("Flatten", b.op("GlobalAveragePool", x), axis=1), 10))
    for node in model.graph:
        node.name = "classifier" if node.op_type == "Gemm" else node.name
    verify(model)
    verify(quantized(model, pictures(*SHAPE)).model)
