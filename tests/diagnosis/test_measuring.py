"""Energies against closed forms."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from edgekit.diagnosis.channel_map import ChannelMap
from edgekit.diagnosis.measuring import Energies, decibels
from edgekit.runtimes.layers import Grid

FloatArray = npt.NDArray[np.float32]
RANDOM = np.random.default_rng(0)
SAME = ChannelMap.same(4)


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
        energies.add(expected, actual, SAME, None)
    assert np.allclose(energies.noise, [0, 0, 3 * 25, 0])
    assert np.allclose(energies.signal, 3 * np.square(expected).sum(1), rtol=1e-5)


def test_a_fine_grid_costs_a_twelfth_of_its_step_squared() -> None:
    energies, grid = Energies.of(4, has_grid=True), Grid(1 / 32, 0, -128, 127)
    values = RANDOM.uniform(-3, 3, (4, 20_000)).astype(np.float32)
    energies.add(values, values, SAME, grid)
    assert energies.grid_noise is not None
    assert np.isclose(energies.grid_noise.sum() / values.size, grid.scale**2 / 12, rtol=0.02)
    assert (energies.cut, energies.cut_noise) == (0, 0)


def test_what_lies_beyond_the_grid_is_counted() -> None:
    energies, grid = Energies.of(4, has_grid=True), Grid(0.01, -128, -128, 127)  # 0 to 2.55
    values = np.full((4, 10), 1.0, np.float32)
    values[0, :5] = 3.55
    energies.add(values, values, SAME, grid)
    assert energies.cut == 5
    assert np.isclose(energies.cut_noise, 5, rtol=1e-4)
