"""Ranges in front of activations: closed forms, and fewer errors behind them."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.quantize.arithmetic import activation_params, dequantize, quantize
from edgekit.quantize.curves import CURVES, curves_of, fit_curve
from edgekit.quantize.observers import Observer
from edgekit.quantize.plan import make_plan
from edgekit.quantize.precision import with_precisions
from graphs import NETWORKS, FloatArray, GraphBuilder


def observed(values: FloatArray) -> Observer:
    observer = Observer("x")
    observer.update(values)
    return observer


def normal(scale: float) -> FloatArray:
    return (np.random.default_rng(0).standard_normal(1 << 14) * scale).astype(np.float32)


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("scale", [0.5, 3.0, 12.0])
def test_the_error_behind_the_curve_does_not_grow(name: str, scale: float) -> None:
    values, curve = normal(scale), CURVES[name]
    chosen = activation_params(float(values.min()), float(values.max()))
    fitted = fit_curve(observed(values), curve, chosen)
    exact = curve.function(values.astype(np.float64))
    before, after = (
        float(
            np.mean(
                (curve.function(dequantize(quantize(values, params), params).astype(np.float64)) - exact) ** 2
            )
        )
        for params in (chosen, fitted)
    )
    assert after <= 1.02 * before
    assert scale < 12 or after < 0.7 * before
    assert fitted.low >= chosen.low - chosen.scale
    assert curve.is_flat_above or fitted.high == pytest.approx(chosen.high, abs=chosen.scale)


def test_hard_swish_needs_nothing_below_minus_three() -> None:
    values = normal(10)
    chosen = activation_params(float(values.min()), float(values.max()))
    fitted = fit_curve(observed(values), CURVES["HardSwish"], chosen)
    assert -5 < fitted.low < -2.5


def test_hard_sigmoid_needs_minus_three_to_three() -> None:
    values = normal(10)
    fitted = fit_curve(observed(values), CURVES["HardSigmoid"], activation_params(-40, 40))
    assert fitted.low == pytest.approx(-3, abs=1.5)
    assert fitted.high == pytest.approx(3, abs=1.5)


def test_what_reads_a_value_decides() -> None:
    b = GraphBuilder([1, 3, 24, 24])
    plan = make_plan(b.model(NETWORKS["gated"](b)))
    found = curves_of(plan)
    by_output = {layer.output: layer for layer in plan.layers}
    functions = [(by_output[name].op_type, curve) for name, curve in found.items()]
    assert functions == [("Conv", CURVES["SiLU"]), ("Conv", CURVES["Sigmoid"])]
    sigmoid = next(layer for layer in plan.layers if layer.op_type == "Sigmoid")
    assert list(curves_of(with_precisions(plan, {sigmoid.name: "float"}))) == list(found)[1:]


def test_values_that_others_read_or_share_keep_their_range() -> None:
    b = GraphBuilder([1, 3, 24, 24])
    x = b.conv(b.image, 4)
    gate = b.op("Sigmoid", x)
    both = b.op("Add", b.op("Mul", x, gate), x)
    joined = b.op("Concat", b.conv(both, 4, 1), both, axis=1)
    plan = make_plan(b.model(b.conv(b.op("HardSwish", joined), 4)))
    assert not curves_of(plan)
