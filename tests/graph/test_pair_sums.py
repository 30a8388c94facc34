"""Pairs of weights: which they are, and that their products never pass 16 bits."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from edgekit.graph.pair_sums import PAIR_MAX, FloatArray, pair_bounds, pair_scale, pairs_of

SHAPES = {
    "pointwise": ((16, 24, 1, 1), 1),
    "pixels": ((8, 3, 3, 3), 1),
    "wide": ((8, 6, 5, 3), 1),
    "grouped": ((12, 5, 3, 3), 4),
    "multiplied": ((12, 1, 3, 3), 4),
    "classifier": ((10, 7), 1),
}


def weighted(group: int) -> ir.Node:
    return ir.node("Conv", [ir.val("x"), ir.val("w")], {"group": group})


def rows(shape: tuple[int, ...], seed: int) -> FloatArray:
    found: FloatArray = np.random.default_rng(seed).standard_t(3, shape).astype(np.float32)
    return found


def saturates(integers: FloatArray) -> bool:
    """As ``vpmaddubsw`` does on activations of 255 and 0, the worst that there are.

    Weights are ``[O, C, positions]``; channels are innermost, one position after another or all in a line.
    """
    by_position = integers.astype(int).transpose(0, 2, 1)
    for line in (by_position, by_position.reshape(len(by_position), 1, -1)):
        padded = np.pad(line, ((0, 0), (0, 0), (0, line.shape[2] % 2)))
        for activation in (padded > 0, padded < 0):
            products = 255 * activation * padded
            sums = products[..., ::2] + products[..., 1::2]
            if sums.max() > 32767 or sums.min() < -32768:
                return True
    return False


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", SHAPES)
def test_rounded_weights_do_not_saturate(name: str, seed: int) -> None:
    shape, group = SHAPES[name]
    weight = rows(shape, seed).reshape(shape[0], -1)
    pairs = pairs_of(weighted(group), weight.reshape(shape))
    assert pairs is not None
    by_channel = (shape[0], shape[1], -1)
    largest = np.abs(weight).max(axis=1) / 127
    plain = np.rint(weight / largest[:, None])
    assert saturates(plain.reshape(by_channel))  # or the test could not fail
    scale = np.maximum(largest, pair_scale(weight, pairs))
    steps = weight / scale[:, None]
    low, high = pair_bounds(steps, pairs)
    integers = np.rint(steps).clip(low, high)
    assert not saturates(integers.reshape(by_channel))
    assert np.abs(integers - steps).max() <= 1.001  # nothing gives way by more than a step
    assert np.abs(integers).max() <= 127


def test_whatever_lies_within_the_bounds_fits() -> None:
    weight = rows((64, 10), 0)
    pairs = pairs_of(weighted(1), weight)
    assert pairs is not None
    for steps in (weight * 127 / np.abs(weight).max(axis=1, keepdims=True), 40 * weight):
        low, high = pair_bounds(steps, pairs)
        assert (high >= 0).all()
        assert (low <= 0).all()
        assert not saturates(high[..., None])
        assert not saturates(low[..., None])


def test_the_scale_is_no_wider_than_it_has_to_be() -> None:
    weight = np.array([[100, 28, -100, 100], [100, 29, 0, 0], [100, -100, 127, 1]], np.float32)
    pairs = pairs_of(weighted(1), weight)
    assert pairs is not None
    np.testing.assert_allclose(pair_scale(weight, pairs), [1, 129 / PAIR_MAX, 1])


def test_depthwise_layers_add_no_pairs() -> None:
    assert pairs_of(weighted(8), np.zeros((8, 1, 3, 3))) is None


def test_an_odd_channel_meets_the_next_position() -> None:
    """Three channels of two positions, channels innermost: (0, 1), (2, 3), (4, 5) as onnxruntime has them."""
    pairs = pairs_of(weighted(1), np.zeros((1, 3, 1, 2)))
    assert pairs is not None
    # By channel and position in the weight's order: 00 01 10 11 20 21.
    np.testing.assert_array_equal(pairs[:, 0], [2, 3, 0, 1, 4, 5])
    np.testing.assert_array_equal(pairs[:, 1], [2, 4, 0, 5, 1, 3])
