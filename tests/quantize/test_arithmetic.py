"""Quantization arithmetic against onnxruntime's kernels, closed forms and its own promises."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from edgekit.options import Preprocessing
from edgekit.quantize.arithmetic import (
    INT8_MAX,
    INT8_MIN,
    WEIGHT_MAX,
    ActivationParams,
    FloatArray,
    activation_params,
    bias_scale,
    dequantize,
    pixel_params,
    quantize,
    quantize_bias,
    quantize_weight,
    scale_floor,
    weight_scale,
)

REALS = st.floats(-1e6, 1e6, width=32)
LITE = Preprocessing(mean=(127 / 255,) * 3, std=(128 / 255,) * 3)
TINY = float(np.finfo(np.float32).tiny)


def run_onnx(
    op_type: str, values: np.ndarray[tuple[int, ...], np.dtype[np.generic]], p: ActivationParams
) -> FloatArray:
    """The operator by onnxruntime, as the integers or reals that it gives."""
    types = (
        (TensorProto.FLOAT, TensorProto.INT8)
        if op_type == "QuantizeLinear"
        else (TensorProto.INT8, TensorProto.FLOAT)
    )
    graph = helper.make_graph(
        [helper.make_node(op_type, ["x", "scale", "zero"], ["y"])],
        "one",
        [helper.make_tensor_value_info("x", types[0], values.shape)],
        [helper.make_tensor_value_info("y", types[1], values.shape)],
        [
            helper.make_tensor("scale", TensorProto.FLOAT, [], [p.scale]),
            helper.make_tensor("zero", TensorProto.INT8, [], [p.zero_point]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    result: FloatArray = session.run(None, {"x": values})[0]
    return result


@given(bounds=st.tuples(REALS, REALS).map(sorted), position=st.floats(0, 1))
def test_a_round_trip_inside_the_range_errs_by_half_a_step(bounds: list[float], position: float) -> None:
    low, high = bounds
    params = activation_params(low, high)
    value = np.float32(low + position * (high - low))
    back = dequantize(quantize(np.asarray([value]), params), params)[0]
    assert abs(float(back) - float(value)) <= params.scale * (0.5 + 1e-4)


@given(bounds=st.tuples(REALS, REALS).map(sorted))
def test_zero_is_exact_and_the_range_is_held(bounds: list[float]) -> None:
    low, high = bounds
    params = activation_params(low, high)
    assert np.float32(params.scale) == params.scale
    assert INT8_MIN <= params.zero_point <= INT8_MAX
    assert dequantize(quantize(np.zeros(1, np.float32), params), params)[0] == 0
    assert params.low <= low + params.scale / 2 * 1.0001
    assert params.high >= high - params.scale / 2 * 1.0001


@pytest.mark.parametrize(
    ("low", "high", "scale", "zero_point"),
    [
        (0.0, 6.0, 6 / 255, -128),
        (-1.0, 0.0, 1 / 255, 127),
        (2.0, 5.0, 5 / 255, -128),
        (-5.0, -2.0, 5 / 255, 127),
        (-128.0, 127.0, 1.0, 0),
        (0.0, 0.0, 1 / 255, -128),
    ],
)
def test_parameters_in_closed_form(low: float, high: float, scale: float, zero_point: int) -> None:
    assert activation_params(low, high) == ActivationParams(float(np.float32(scale)), zero_point)


@given(
    scale=st.floats(2.0**-20, 2.0**10, width=32),
    zero_point=st.integers(INT8_MIN, INT8_MAX),
    seed=st.integers(0, 2**32 - 1),
)
def test_onnxruntime_quantizes_to_the_same_integers(scale: float, zero_point: int, seed: int) -> None:
    params = ActivationParams(scale, zero_point)
    steps = np.random.default_rng(seed).integers(-600, 600, 200) / 2  # halves: ties, and both saturations
    values = (steps * scale).astype(np.float32)
    integers = quantize(values, params)
    np.testing.assert_array_equal(integers, run_onnx("QuantizeLinear", values, params))
    np.testing.assert_array_equal(
        dequantize(integers, params), run_onnx("DequantizeLinear", integers, params)
    )


def test_quantizing_saturates_infinities() -> None:
    values = np.asarray([-np.inf, np.inf], np.float32)
    assert quantize(values, ActivationParams(1.0, 5)).tolist() == [INT8_MIN, INT8_MAX]


def test_efficientnet_lite_pixels_are_raw_bytes_less_128() -> None:
    params = pixel_params(LITE)
    assert params == ActivationParams(1 / 128, -1)
    pixels = np.arange(256)
    values = ((pixels / 255 - LITE.mean[0]) / LITE.std[0]).astype(np.float32)
    np.testing.assert_array_equal(quantize(values, params), pixels - 128)


def test_pixels_of_every_channel_are_held() -> None:
    preprocessing = Preprocessing()
    params = pixel_params(preprocessing)
    for mean, std in zip(preprocessing.mean, preprocessing.std, strict=True):
        assert params.low - params.scale / 2 <= -mean / std
        assert (1 - mean) / std <= params.high + params.scale / 2


@given(seed=st.integers(0, 1000), axis=st.sampled_from([0, None]), exponent=st.integers(-30, 30))
def test_weights_keep_their_largest_magnitude_and_err_by_half_a_step(
    seed: int, axis: int | None, exponent: int
) -> None:
    weight = np.random.default_rng(seed).standard_normal((4, 3, 2, 2)).astype(np.float32) * 2.0**exponent
    weight = weight.astype(np.float32)
    scale = weight_scale(weight, axis=axis)
    integers = quantize_weight(weight, scale)
    assert scale.shape == (() if axis is None else (4,))
    steps = scale.reshape(-1, 1, 1, 1)
    assert np.abs(integers * steps - weight).max() <= steps.max() * 0.5001
    peaks = np.abs(integers).max(axis=None if axis is None else (1, 2, 3))
    assert np.all(peaks == WEIGHT_MAX)


def test_scales_of_empty_channels_and_layers_are_of_use() -> None:
    weight = np.zeros((3, 2), np.float32)
    assert weight_scale(weight).tolist() == [2.0**-60] * 3
    weight[0] = 12.7
    weight[1, 0] = 1e-12
    scale = weight_scale(weight)
    assert scale[0] == pytest.approx(0.1)
    assert scale[1] == pytest.approx(1e-6, rel=1e-3)  # kept within 1e5 of the layer's largest
    assert scale[2] == pytest.approx(0.1)


def test_no_product_of_two_scales_is_denormal() -> None:
    small = activation_params(0.0, 1e-44).scale
    weights = weight_scale(np.full((2, 2), 1e-44, np.float32))
    assert small >= TINY
    assert np.all(bias_scale(small, weights) >= TINY)


@given(
    magnitude=st.lists(st.floats(0, 1e6, width=32), min_size=1, max_size=5),
    input_scale=st.floats(2.0**-40, 2.0**10, width=32),
)
def test_biases_fit_beside_33000_products(magnitude: list[float], input_scale: float) -> None:
    bias = np.asarray(magnitude, np.float32)
    scale = np.maximum(scale_floor(bias, input_scale), np.float32(2.0**-60))
    steps = bias_scale(input_scale, scale)
    integers = quantize_bias(bias, steps).astype(np.int64)
    products = 33_000 * WEIGHT_MAX * (INT8_MAX - INT8_MIN)
    assert np.abs(integers).max() + products < 2**31
    assert np.all(np.abs(integers * steps.astype(np.float64) - bias) <= steps * 0.5001)


def test_a_bias_has_the_scale_of_the_products() -> None:
    scale = np.asarray([0.5, 0.25], np.float32)
    assert bias_scale(0.125, scale).tolist() == [0.0625, 0.03125]
    assert bias_scale(0.125, np.asarray(0.5, np.float32)).shape == ()
    bias = np.asarray([1.0, -1.0], np.float32)
    assert quantize_bias(bias, bias_scale(0.125, scale)).tolist() == [16, -32]
    assert quantize_bias(bias, bias_scale(0.125, scale[:1].reshape(()))).tolist() == [16, -16]
