"""Ranges against the numbers themselves: what each method promises about error and coverage."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.options import RangeMethod
from edgekit.quantize.arithmetic import ActivationParams, activation_params, dequantize, quantize
from edgekit.quantize.observers import Observer
from edgekit.quantize.ranges import METHODS, choose_params

FloatArray = npt.NDArray[np.float32]

SHAPES: dict[str, Callable[[np.random.Generator], npt.NDArray[np.float64]]] = {
    "normal": lambda random: random.standard_normal(4000),
    "heavy tails": lambda random: random.standard_t(2, 4000),
    "clamped": lambda random: np.clip(random.standard_normal(4000) * 4, 0, 6),
    "one outlier": lambda random: np.append(random.uniform(0, 1, 4000), 40.0),
    "negative": lambda random: -random.exponential(1.0, 4000),
    "swish": lambda random: (lambda x: x / (1 + np.exp(-x)))(random.standard_normal(4000) * 3),
    "far from zero": lambda random: random.uniform(5, 6, 4000),
}


def numbers(shape: str, seed: int = 0, scale: float = 1.0) -> FloatArray:
    return (SHAPES[shape](np.random.default_rng(seed)) * scale).astype(np.float32)


def observed(values: FloatArray) -> Observer:
    observer = Observer("layer")
    observer.update(values)
    return observer


def squared_error(values: FloatArray, params: ActivationParams) -> float:
    return float(np.square(dequantize(quantize(values, params), params).astype(np.float64) - values).sum())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e9])
def test_every_method_holds_zero_inside_the_full_range(method: RangeMethod, shape: str, scale: float) -> None:
    values = numbers(shape, scale=scale)
    params = choose_params([observed(values)], method)
    assert dequantize(quantize(np.zeros(1, np.float32), params), params)[0] == 0
    full = activation_params(float(values.min()), float(values.max()))
    assert params.scale <= full.scale * 1.0001
    assert params.low >= full.low - full.scale
    assert params.high <= full.high + full.scale


@pytest.mark.parametrize("shape", SHAPES)
def test_minmax_clips_nothing(shape: str) -> None:
    values = numbers(shape)
    params = choose_params([observed(values)], "minmax")
    assert params == activation_params(float(values.min()), float(values.max()))
    assert np.abs(dequantize(quantize(values, params), params) - values).max() <= params.scale * 0.5001


@given(shape=st.sampled_from(sorted(SHAPES)), seed=st.integers(0, 1000), scale=st.floats(1e-6, 1e6))
def test_mse_never_has_more_squared_error_than_minmax(shape: str, seed: int, scale: float) -> None:
    values = numbers(shape, seed, scale)
    observer = observed(values)
    full, chosen = (choose_params([observer], method) for method in ("minmax", "mse"))
    centers = np.repeat(observer.centers(), observer.counts).astype(np.float32)
    assert squared_error(centers, chosen) <= squared_error(centers, full) * (1 + 1e-5)
    assert squared_error(values, chosen) <= squared_error(values, full) * 1.05  # the histogram's resolution


def test_mse_gives_up_rare_large_numbers() -> None:
    random = np.random.default_rng(0)
    images = [random.uniform(0, 1, 1 << 14).astype(np.float32) for _ in range(100)]
    images[7][5] = 2.0
    observer = Observer("layer")
    for image in images:
        observer.update(image)
    chosen = choose_params([observer], "mse")
    assert chosen.high == pytest.approx(1.0, abs=0.03)
    full = choose_params([observer], "minmax")
    errors = [sum(squared_error(image, params) for image in images) for params in (full, chosen)]
    # 1 for the number given up, and step² / 12 for each of the others.
    assert errors[1] == pytest.approx(1 + 100 * 2**14 * (1 / 255) ** 2 / 12, rel=0.05)
    assert errors[1] < 0.5 * errors[0]


def test_mse_keeps_a_uniform_range_whole() -> None:
    values = np.linspace(-1, 3, 5000, dtype=np.float32)
    chosen = choose_params([observed(values)], "mse")
    assert chosen.scale == pytest.approx(4 / 255, rel=0.03)
    assert squared_error(values, chosen) / len(values) == pytest.approx(chosen.scale**2 / 12, rel=0.05)


@pytest.mark.parametrize("shape", SHAPES)
def test_percentile_cuts_a_known_share(shape: str) -> None:
    values = np.concatenate([numbers(shape, seed) for seed in range(60)])
    observer = Observer("layer")
    for part in np.array_split(values, 30):
        observer.update(part)
    params = choose_params([observer], "percentile")
    # 1e-5 of 240,000 numbers are 2.4 on each side.
    ordered = np.minimum(np.sort(values), 0), np.maximum(np.sort(values)[::-1], 0)
    slack = 2 * observer.width + params.scale
    assert ordered[0][1] - slack <= params.low <= ordered[0][3] + slack
    assert ordered[1][3] - slack <= params.high <= ordered[1][1] + slack
    assert np.sum(values < params.low - params.scale / 2) <= 2
    assert np.sum(values > params.high + params.scale / 2) <= 2


@pytest.mark.parametrize("method", METHODS)
def test_values_that_share_a_range_are_both_held(method: RangeMethod) -> None:
    left, right = (
        observed(np.linspace(-3, 0, 999, dtype=np.float32)),
        observed(np.linspace(0, 5, 999, dtype=np.float32)),
    )
    params = choose_params([left, right], method)
    assert params.low == pytest.approx(-3, rel=0.05)
    assert params.high == pytest.approx(5, rel=0.05)
