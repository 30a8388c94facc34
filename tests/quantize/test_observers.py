"""Streaming histograms against numpy's over all numbers at once."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import InputError
from edgekit.quantize.arithmetic import FloatArray
from edgekit.quantize.observers import BINS, Observer

Batches = list[FloatArray]


@st.composite
def batches(draw: st.DrawFn) -> Batches:
    """Batches of different centre and spread, as images of a layer may be, over 40 orders of magnitude."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    unit = 10.0 ** draw(st.integers(-20, 20))
    shifts = draw(st.lists(st.floats(-30, 30), min_size=1, max_size=5))
    return [((random.standard_normal(300) + shift) * unit).astype(np.float32) for shift in shifts]


def observed(arrays: Batches) -> Observer:
    observer = Observer("layer")
    for array in arrays:
        observer.update(array)
    return observer


def cumulated(observer: Observer) -> FloatArray:
    return np.concatenate([[0], np.cumsum(observer.counts)])


@given(arrays=batches())
def test_counts_are_numpys_histogram(arrays: Batches) -> None:
    observer, values = observed(arrays), np.sort(np.concatenate(arrays))
    assert (observer.low, observer.high) == (float(values[0]), float(values[-1]))
    assert observer.counts.sum() == len(values)
    edges = observer.start + np.arange(BINS + 1) * observer.width
    ours = cumulated(observer)[1:-1]
    # float32 arithmetic may put a number on an edge into the bin beside it, never further.
    blur = observer.width * 1e-2
    assert np.all(ours >= np.searchsorted(values, edges[1:-1] - blur))
    assert np.all(ours <= np.searchsorted(values, edges[1:-1] + blur, side="right"))


@given(arrays=batches())
def test_bins_are_at_most_twice_as_wide_as_needed(arrays: Batches) -> None:
    observer = observed(arrays)
    first = float(arrays[0].max()) - float(arrays[0].min())
    needed = observer.high - observer.low
    assert observer.start <= observer.low
    assert observer.high <= observer.start + BINS * observer.width
    # A range grows on either side in turn, so that doublings may overshoot on both.
    assert BINS * observer.width <= 4.01 * max(needed, first)


@given(arrays=batches())
def test_the_order_of_images_does_not_matter_beyond_a_bin(arrays: Batches) -> None:
    shares = np.linspace(0.01, 0.99, 21)
    quantiles = []
    for order in itertools.islice(itertools.permutations(arrays), 6):
        observer = observed(list(order))
        rank = np.searchsorted(np.cumsum(observer.counts), shares * observer.counts.sum())
        quantiles.append((observer.centers()[rank], observer.width))
    reference, width = quantiles[0]
    for found, other_width in quantiles[1:]:
        assert np.abs(found - reference).max() <= width + other_width


def test_extremes_see_every_number_of_a_large_image_and_the_histogram_a_sample() -> None:
    values = np.random.default_rng(0).uniform(-1, 1, (1, 16, 200, 200)).astype(np.float32)
    values[0, 3, 77, 91], values[0, 9, 5, 3] = 9.0, -7.0
    observer = observed([values])
    assert (observer.low, observer.high) == (-7.0, 9.0)
    assert 1 << 13 < observer.counts.sum() <= 1 << 14
    inside = np.abs(observer.centers()) <= 1
    assert observer.counts[inside].sum() >= observer.counts.sum() - 2
    halves = observer.counts[observer.centers() < 0].sum() / observer.counts.sum()
    assert halves == pytest.approx(0.5, abs=0.02)


def test_a_sample_does_not_stay_in_some_columns() -> None:
    values = np.zeros((1, 4, 128, 128), np.float32)
    values[..., ::4] = 1
    observer = observed([values])
    ones = observer.counts[observer.centers() > 0.5].sum()
    assert ones / observer.counts.sum() == pytest.approx(0.25, abs=0.01)


def test_memory_does_not_grow() -> None:
    observer = Observer("layer")
    for scale in np.geomspace(1e-3, 1e3, 200):
        observer.update(np.asarray([-scale, scale], np.float32))
    assert observer.counts.shape == (BINS,)
    assert observer.counts.sum() == 400


@pytest.mark.parametrize("value", [0.0, 3.5, -1e-25, 1e25])
def test_a_constant_is_counted(value: float) -> None:
    observer = observed([np.full((2, 5), value, np.float32)] * 3)
    assert observer.low == observer.high == np.float32(value)
    assert observer.counts.sum() == observer.counts.max() == 30
    middle = observer.centers()[observer.counts.argmax()]
    assert middle == pytest.approx(float(np.float32(value)), rel=1e-6, abs=1e-30)


def test_numbers_after_constant_zero_are_resolved() -> None:
    observer = observed([np.zeros(10, np.float32), np.linspace(-4, 4, 1001, dtype=np.float32)])
    assert observer.width <= 4 * 8 / BINS
    assert observer.counts.sum() == 1011


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_named(bad: float) -> None:
    values = np.ones((1, 3, 4, 4), np.float32)
    values[0, 1, 2, 3] = bad
    with pytest.raises(InputError, match=r"blocks\.3\.expand.*not finite"):
        Observer("blocks.3.expand").update(values)
