"""The papers' rounding rules."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import InputError
from edgekit.models.scale import Scale, check_scale, round_channels, round_repeats


@given(st.integers(1, 4096), st.floats(0.05, 4.0))
def test_channels_are_the_nearest_multiple_of_eight_that_keeps_ninety_percent(
    channels: int, width: float
) -> None:
    exact = channels * width
    rounded = round_channels(channels, width)
    assert rounded % 8 == 0
    assert rounded >= max(8, 0.9 * exact)
    assert rounded - exact < 8 or rounded == 8
    smaller = rounded - 8
    assert smaller < 8 or smaller < 0.9 * exact or exact - smaller >= rounded - exact


@pytest.mark.parametrize(
    ("channels", "width", "expected"),
    [
        (32, 1.0, 32),
        (32, 0.35, 16),
        (16, 0.35, 8),
        (24, 0.35, 8),
        (1280, 1.4, 1792),
        (24, 1.1, 24),
        (12, 1, 16),
    ],
)
def test_known_channel_counts(channels: int, width: float, expected: int) -> None:
    assert round_channels(channels, width) == expected


@given(st.integers(1, 20), st.floats(0.05, 4.0))
def test_repeats_round_up(repeats: int, depth: float) -> None:
    rounded = round_repeats(repeats, depth)
    assert rounded >= 1
    assert 0 <= rounded - repeats * depth < 1


@pytest.mark.parametrize(
    ("depth", "expected"), [(1.0, [1, 2, 3, 4]), (1.1, [2, 3, 4, 5]), (3.1, [4, 7, 10, 13])]
)
def test_known_repeats(depth: float, expected: list[int]) -> None:
    """EfficientNet-B0, B1 and B7, as their parameter counts need them."""
    assert [round_repeats(repeats, depth) for repeats in (1, 2, 3, 4)] == expected


@pytest.mark.parametrize(
    "scale",
    [
        Scale(width=0),
        Scale(width=math.nan),
        Scale(depth=-1),
        Scale(depth=math.inf),
        Scale(resolution=0),
        Scale(num_classes=0),
        Scale(in_channels=0),
    ],
)
def test_impossible_scales_are_refused(scale: Scale) -> None:
    with pytest.raises(InputError, match="expected"):
        check_scale(scale)
