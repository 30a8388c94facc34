"""The choice of images: distinct, spread, repeatable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import InputError
from edgekit.quantize.sampling import spread


@given(count=st.integers(0, 200), samples=st.integers(1, 250), seed=st.integers(0, 5))
def test_every_index_comes_once_and_every_stretch_first(count: int, samples: int, seed: int) -> None:
    order = spread(count, samples, seed)
    assert sorted(order) == list(range(count))
    assert order == spread(count, samples, seed)
    stretches = min(samples, count)
    bounds = [i * count // stretches for i in range(stretches + 1)] if stretches else []
    first = sorted(order[:stretches])
    assert all(low <= index < high for index, low, high in zip(first, bounds, bounds[1:], strict=False))


def test_seeds_choose_differently_and_the_order_is_mixed() -> None:
    assert spread(250, 100, 0) != spread(250, 100, 1)
    prefix = spread(10_000, 1000, 0)[:20]
    assert min(prefix) < 2500 < 7500 < max(prefix)


@pytest.mark.parametrize(("samples", "seed"), [(0, 0), (-3, 0), (1, -1)])
def test_numbers_that_mean_nothing_are_refused(samples: int, seed: int) -> None:
    with pytest.raises(InputError, match="expected at least"):
        spread(10, samples, seed)
