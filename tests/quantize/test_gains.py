"""Gains against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.quantize.gains import output_gain

RNG = np.random.default_rng(0)
SIGNAL = RNG.standard_normal((8, 4, 20, 20)).astype(np.float32)


@pytest.mark.parametrize("strength", [0.95, 1.0, 1.05])
def test_what_is_too_weak_by_a_factor_gets_it_back(strength: float) -> None:
    offsets = np.asarray([-3, 0, 5, 100], np.float32)[:, None, None]
    assert output_gain(SIGNAL + offsets, strength * SIGNAL) == pytest.approx(1 / strength, rel=1e-5)


def test_noise_is_not_amplified() -> None:
    """The best factor for signal and noise of energies s and n is s / (s + n)."""
    noise = 0.2 * RNG.standard_normal(SIGNAL.shape).astype(np.float32)
    assert output_gain(SIGNAL, SIGNAL + noise) == pytest.approx(1 / 1.04, rel=5e-3)


@pytest.mark.parametrize(("factor", "gain"), [(0.1, 1.1), (10.0, 1 / 1.1)])
def test_gains_are_bounded(factor: float, gain: float) -> None:
    assert output_gain(SIGNAL, SIGNAL * np.float32(factor)) == pytest.approx(gain)


def test_outputs_that_do_not_vary_are_left_alone() -> None:
    still = np.ones((3, 4), np.float32)
    assert output_gain(still, still) == 1.0
    assert output_gain(SIGNAL, np.zeros_like(SIGNAL)) == 1.0
