"""Compensated rounding against its textbook form, exhaustive search and rounding to nearest."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.quantize.arithmetic import WEIGHT_MAX, FloatArray, Int8Array
from edgekit.quantize.patches import independent_rows
from edgekit.quantize.rounding import round_compensated, second_moments

DAMPING = 0.01


def random_case(
    groups: int, rows: int, size: int, seed: int = 0, correlated: bool = True
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Weight, scale and moments of inputs that are sums of a few common causes."""
    random = np.random.default_rng(seed)
    inputs = random.standard_normal((groups, 4 * size + 20, size)) * random.uniform(0.2, 2, size)
    if correlated:
        causes = random.standard_normal((groups, 4 * size + 20, 2))
        inputs += 3 * causes @ random.standard_normal((groups, 2, size))
    moments = np.matmul(inputs.transpose(0, 2, 1), inputs) / inputs.shape[1]
    weight = random.standard_normal((groups, rows, size)).astype(np.float32)
    scale = (np.abs(weight).max(axis=2) / 20).astype(np.float32)
    return weight, scale, moments.astype(np.float32)


def nearest(weight: FloatArray, scale: FloatArray) -> Int8Array:
    steps: FloatArray = np.rint(weight / scale[..., None])
    return np.clip(steps, -WEIGHT_MAX, WEIGHT_MAX).astype(np.int8)


def output_error(
    weight: FloatArray, scale: FloatArray, moments: FloatArray, integers: Int8Array
) -> FloatArray:
    """Mean squared error of each output ``[groups, O]``."""
    error = weight.astype(np.float64) - integers * scale[..., None].astype(np.float64)
    result: FloatArray = np.einsum("goi,gij,goj->go", error, moments.astype(np.float64), error)
    return result


def damped(moments: FloatArray) -> FloatArray:
    mean = np.trace(moments, axis1=1, axis2=2) / moments.shape[1]
    result: FloatArray = moments + DAMPING * mean[:, None, None] * np.eye(moments.shape[1], dtype=np.float32)
    return result


def brain_compression(weight: FloatArray, scale: float, moments: FloatArray) -> list[int]:
    """One row by the book: round an input, let those that remain make up for it, in float64.

    The remaining inputs' moments are inverted anew at each step (Optimal Brain Compression, equation 3).
    """
    rest = weight.astype(np.float64)
    left = list(np.argsort(-np.diagonal(moments), kind="stable"))
    found = [0] * len(rest)
    while left:
        inverse = np.linalg.inv(moments[np.ix_(left, left)].astype(np.float64))
        i = left[0]
        found[i] = int(np.clip(np.rint(rest[i] / scale), -WEIGHT_MAX, WEIGHT_MAX))
        rest[left] -= (rest[i] - found[i] * scale) / inverse[0, 0] * inverse[0]
        left = left[1:]
    return found


@pytest.mark.parametrize(("groups", "rows", "size"), [(1, 4, 30), (3, 2, 9), (1, 3, 150)])
def test_it_is_brain_compression(groups: int, rows: int, size: int) -> None:
    weight, scale, moments = random_case(groups, rows, size)
    integers = round_compensated(weight, scale, moments)
    assert integers.dtype == np.int8
    expected = [
        [brain_compression(weight[g, o], float(scale[g, o]), damped(moments)[g]) for o in range(rows)]
        for g in range(groups)
    ]
    # A number halfway between two integers may go either way in float32, and what follows with it.
    same = (integers == np.asarray(expected)).all(axis=2)
    assert same.mean() >= 0.75


@given(seed=st.integers(0, 10_000), size=st.integers(1, 12))
def test_uncorrelated_inputs_are_rounded_to_nearest(seed: int, size: int) -> None:
    weight, scale, moments = random_case(2, 3, size, seed)
    moments = moments * np.eye(size, dtype=np.float32)
    np.testing.assert_array_equal(round_compensated(weight, scale, moments), nearest(weight, scale))


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), size=st.integers(4, 80))
def test_correlated_inputs_gain(seed: int, size: int) -> None:
    weight, scale, moments = random_case(1, 40, size, seed)
    ours = output_error(weight, scale, moments, round_compensated(weight, scale, moments)).sum()
    assert ours < output_error(weight, scale, moments, nearest(weight, scale)).sum()


def test_it_is_near_the_best_there_is() -> None:
    """All 5⁵ combinations of the integers around each weight, for 50 rows."""
    weight, scale, moments = random_case(1, 50, 5, seed=2)
    ours = output_error(weight, scale, moments, round_compensated(weight, scale, moments)).sum()
    plain = nearest(weight, scale)
    steps = np.asarray(list(itertools.product(range(-2, 3), repeat=5)), np.int8)
    errors = [output_error(weight, scale, moments, plain + step) for step in steps]
    best, rounded = np.min(errors, axis=0).sum(), output_error(weight, scale, moments, plain).sum()
    assert best <= ours
    assert ours - best < 0.25 * (rounded - best)


def test_integers_stay_in_range_and_the_rest_makes_up() -> None:
    weight, scale, moments = random_case(1, 30, 20, seed=1)
    scale = (np.abs(weight).max(axis=2) / 150).astype(np.float32)  # a bias may not widen it, ranges can
    integers = round_compensated(weight, scale, moments)
    assert np.abs(integers.astype(int)).max() == WEIGHT_MAX
    ours = output_error(weight, scale, moments, integers).sum()
    assert ours < output_error(weight, scale, moments, nearest(weight, scale)).sum()


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e-8, 1e8])
def test_moments_of_any_size_will_do(scale: float) -> None:
    weight, step, moments = random_case(2, 3, 6)
    integers = round_compensated(weight, step, (moments * scale).astype(np.float32))
    expected = nearest(weight, step) if scale == 0 else round_compensated(weight, step, moments)
    np.testing.assert_array_equal(integers, expected)


def test_inputs_that_never_vary_are_rounded_to_nearest() -> None:
    weight, scale, moments = random_case(1, 8, 6)
    moments[:, 2], moments[:, :, 2] = 0, 0
    integers = round_compensated(weight, scale, moments)
    np.testing.assert_array_equal(integers[..., 2], nearest(weight, scale)[..., 2])


@pytest.mark.parametrize("rows", [1, 5, 500])
def test_moments_are_shrunk_covariances(rows: int) -> None:
    size = 4
    patches = np.random.default_rng(0).standard_normal((2, rows, size)).astype(np.float32) + 3
    moments, raw = second_moments(patches), second_moments(patches, centered=False)
    for group in range(2):
        for found, expected in (
            (moments[group], np.cov(patches[group].T, bias=True).reshape(size, size)),
            (raw[group], patches[group].T @ patches[group] / rows),
        ):
            np.testing.assert_allclose(np.diagonal(found), np.diagonal(expected), rtol=1e-3, atol=1e-5)
            off = ~np.eye(size, dtype=bool)
            np.testing.assert_allclose(found[off], expected[off] * rows / (rows + size), rtol=1e-3, atol=1e-4)


def test_rows_that_repeat_each_other_are_trusted_less() -> None:
    """Rounding that believes neighbours to be independent fits them, and errs more on other images."""
    generator = np.random.default_rng(0)
    mixing = generator.standard_normal((96, 96)).astype(np.float32)

    def images(count: int) -> FloatArray:
        return (generator.standard_normal((count, 96)) @ mixing).astype(np.float32)

    weight = generator.standard_normal((1, 48, 96)).astype(np.float32)
    scale = (np.abs(weight).max(axis=2) / 127).astype(np.float32)
    seen, others = images(60), images(5000)
    patches = np.repeat(seen, 40, axis=0)[None]

    def error(independent: int | None) -> float:
        moments = second_moments(patches, independent=independent)
        wrong = round_compensated(weight, scale, moments) * scale[..., None] - weight
        return float(np.square(others @ wrong[0].T).mean())

    assert error(len(seen)) < 0.9 * error(None)


def test_a_picture_counts_as_often_as_it_has_pixels_on_a_side() -> None:
    assert independent_rows(np.zeros((5, 3, 8, 8), np.int8)) == 40
    assert independent_rows(np.zeros((5, 3, 4, 9), np.int8)) == 30
    assert independent_rows(np.zeros((5, 3), np.int8)) == 5
