"""Changed channels are recognized and undone; errors are not taken for changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from edgekit.diagnosis.channel_map import ChannelMap, map_channels, weights_like
from edgekit.runtimes.layers import FileLayer, Window

FloatArray = npt.NDArray[np.float32]
RANDOM = np.random.default_rng(0)
DENSE, DEPTHWISE = Window((1, 1), None, (1, 1), 1), Window((1, 1), None, (1, 1), 4)


def normal(*shape: int) -> FloatArray:
    return RANDOM.standard_normal(shape).astype(np.float32)


def layer(weight: FloatArray, window: Window = DENSE) -> FileLayer:
    return FileLayer(("x",), "Conv", (0,), "x", "in", weight, window=window)


def changed(*scales: float) -> ChannelMap:
    return ChannelMap(
        np.array(scales, np.float32)[:, None], np.zeros((len(scales), 1), np.float32), np.arange(len(scales))
    )


def test_scaled_and_moved_channels_are_recognized_and_undone() -> None:
    values, factors = normal(4, 200), np.array([[0.25], [1], [2], [8]], np.float32)
    shifts = np.array([[3], [0], [0], [-1]], np.float32)
    held = (values - shifts) / factors + 1e-3 * normal(4, 200)
    found = map_channels(values, held)
    np.testing.assert_allclose(found.scales, factors, rtol=0.02)
    np.testing.assert_allclose(found.shifts, shifts, atol=0.02)
    np.testing.assert_allclose(found.to_reference(values, held), values, atol=0.05)
    np.testing.assert_allclose(found.to_file(values), held, atol=0.05)
    assert not found.is_same


def test_copies_in_silent_channels_are_recognized() -> None:
    values = normal(4, 200)
    values[2] = 0.5  # silent: whatever the image
    held = values.copy()
    held[2] = values[1] + 0.02 * normal(200)
    found = map_channels(values, held)
    assert found.sources.tolist() == [0, 1, 1, 3]
    assert found.copies.tolist() == [False, False, True, False]
    np.testing.assert_array_equal(found.to_reference(values, held), values)
    np.testing.assert_allclose(found.to_file(values), held, atol=0.1)


def test_a_wrong_layer_is_not_excused() -> None:
    values = normal(4, 200)
    assert map_channels(values, normal(4, 200)).is_same
    assert map_channels(values, values + 0.1 * normal(4, 200)).is_same
    silent = values.copy()
    silent[2] = 0
    assert map_channels(silent, np.concatenate([silent[:2], normal(1, 200), silent[3:]])).is_same


def test_sums_hand_on_the_factors_of_what_they_read() -> None:
    """By numbers alone, a channel whose error goes with its signal would seem scaled by something else."""
    values, factors = normal(4, 200), (0.25, 1.0, 2.0, 8.0)
    held = 1.03 * values / np.array(factors, np.float32)[:, None]
    held += 0.04 * held.std(1, keepdims=True) * normal(4, 200)
    first, second, other = changed(*factors), changed(*factors), changed(3.0)
    found = map_channels(values, held, inputs=[first, second, other])
    np.testing.assert_allclose(found.scales[:, 0], factors, rtol=1e-6)
    assert np.abs(map_channels(values, held).scales[2:, 0] / factors[2:] - 1).min() > 0.02
    np.testing.assert_allclose(map_channels(values, values, inputs=[first]).scales, 1, rtol=1e-5)


def test_one_number_a_channel_is_never_taken_for_a_change() -> None:
    assert map_channels(normal(4, 1), normal(4, 1)).is_same


def test_equalized_weights_return_to_the_reference() -> None:
    weight, source, output = normal(6, 4, 1, 1), normal(4) ** 2 + 0.5, normal(6) ** 2 + 0.5
    equalized = weight * source.reshape(1, 4, 1, 1) / output.reshape(6, 1, 1, 1)
    found = weights_like(weight, layer(equalized), changed(*source), changed(*output))
    np.testing.assert_allclose(found, weight, rtol=1e-5)


def test_equalized_depthwise_weights_return_to_the_reference() -> None:
    weight, source = normal(4, 1, 3, 3), normal(4) ** 2 + 0.5
    equalized = weight * source.reshape(4, 1, 1, 1)
    found = weights_like(weight, layer(equalized, DEPTHWISE), changed(*source), ChannelMap.same(4))
    np.testing.assert_allclose(found, weight, rtol=1e-5)


def test_weights_that_read_copies_are_added_up() -> None:
    weight = normal(6, 4, 1, 1)
    shared = weight.copy()
    shared[:, [1, 2]] = weight[:, 1:2] / 2
    copied = replace(ChannelMap.same(4), sources=np.array([0, 1, 1, 3]))
    found = weights_like(weight, layer(shared), copied, ChannelMap.same(6))
    np.testing.assert_allclose(found, weight, rtol=1e-5)


def test_weights_that_make_copies_are_the_references() -> None:
    weight = normal(4, 1, 3, 3)
    repeated = weight.copy()
    repeated[2] = repeated[1]
    copied = replace(ChannelMap.same(4), sources=np.array([0, 1, 1, 3]))
    found = weights_like(weight, layer(repeated, DEPTHWISE), copied, copied)
    np.testing.assert_allclose(found, weight, rtol=1e-5)
