"""Energies against closed forms."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from edgekit.diagnosis.measuring import Energies, channel_scales, decibels, in_reference_units
from edgekit.runtimes.layers import FileLayer, Grid, Window

FloatArray = npt.NDArray[np.float32]
RANDOM = np.random.default_rng(0)
ONES = np.ones((4, 1), np.float32)


def normal(*shape: int) -> FloatArray:
    return RANDOM.standard_normal(shape).astype(np.float32)


def test_decibels() -> None:
    assert decibels(100.0, 1.0) == 20
    assert decibels(1.0, 0.0) == math.inf
    assert decibels(0.0, 1.0) == -math.inf


def test_noise_is_gathered_by_channel() -> None:
    energies = Energies.of(4, has_grid=False)
    expected = normal(4, 100)
    actual = expected.copy()
    actual[2] += 0.5
    for _ in range(3):
        energies.add(expected, actual, ONES, None)
    assert np.allclose(energies.noise, [0, 0, 3 * 25, 0])
    assert np.allclose(energies.signal, 3 * np.square(expected).sum(1), rtol=1e-5)


def test_a_fine_grid_costs_a_twelfth_of_its_step_squared() -> None:
    energies, grid = Energies.of(4, has_grid=True), Grid(1 / 32, 0, -128, 127)
    values = RANDOM.uniform(-3, 3, (4, 20_000)).astype(np.float32)
    energies.add(values, values, ONES, grid)
    assert energies.grid_noise is not None
    assert np.isclose(energies.grid_noise.sum() / values.size, grid.scale**2 / 12, rtol=0.02)
    assert (energies.cut, energies.cut_noise) == (0, 0)


def test_what_lies_beyond_the_grid_is_counted() -> None:
    energies, grid = Energies.of(4, has_grid=True), Grid(0.01, -128, -128, 127)  # 0 to 2.55
    values = np.full((4, 10), 1.0, np.float32)
    values[0, :5] = 3.55
    energies.add(values, values, ONES, grid)
    assert energies.cut == 5
    assert np.isclose(energies.cut_noise, 5, rtol=1e-4)


def test_equalized_channels_are_recognized_and_undone() -> None:
    values, factors = normal(4, 200), np.asarray([0.25, 1, 2, 8], np.float32)
    found = channel_scales(values, values / factors[:, None] + 1e-3 * normal(4, 200))
    assert np.allclose(found[:, 0], factors, rtol=0.02)


def test_a_wrong_layer_is_not_excused_as_equalized() -> None:
    values = normal(4, 200)
    assert np.array_equal(channel_scales(values, normal(4, 200)), ONES)
    assert np.array_equal(channel_scales(values, values + 0.1 * normal(4, 200)), ONES)


def test_one_number_a_channel_is_never_taken_for_a_factor() -> None:
    assert np.array_equal(channel_scales(normal(4, 1), normal(4, 1)), ONES)


def test_equalized_weights_return_to_the_reference() -> None:
    weight, source, scales = normal(6, 4, 1, 1), normal(4, 1) ** 2 + 0.5, normal(6, 1) ** 2 + 0.5
    equalized = weight * source.reshape(1, 4, 1, 1) / scales.reshape(6, 1, 1, 1)
    layer = FileLayer(("x",), "Conv", (0,), "x", "in", equalized, window=Window((1, 1), None, (1, 1), 1))
    assert np.allclose(in_reference_units(layer, source, scales), weight, rtol=1e-5)


def test_equalized_depthwise_weights_return_to_the_reference() -> None:
    weight, source = normal(4, 1, 3, 3), normal(4, 1) ** 2 + 0.5
    equalized = weight * source.reshape(4, 1, 1, 1)
    layer = FileLayer(("x",), "Conv", (0,), "x", "in", equalized, window=Window((1, 1), None, (1, 1), 4))
    assert np.allclose(in_reference_units(layer, source, None), weight, rtol=1e-5)
