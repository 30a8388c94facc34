"""Error energies of one pair of layers, gathered image by image."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from edgekit.diagnosis.channel_map import ChannelMap
from edgekit.runtimes.layers import Grid

__all__ = ["Energies", "decibels"]

FloatArray = npt.NDArray[np.float32]
Energy = npt.NDArray[np.float64]


def decibels(signal: float, noise: float) -> float:
    """10·log10 of their ratio; infinite without noise, and minus infinite without signal."""
    if not noise:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf


@dataclass
class Energies:
    """Sums of squares by channel, over all images so far.

    ``noise`` is what the file's output differs by, ``grid_noise`` what the fp32 output differs by when
    only it is rounded to the file's grid, of which ``cut_noise`` lies beyond the grid's ends.
    ``weight_signal`` and ``weight_noise`` are those of the layer's products with fp32 inputs.
    """

    signal: Energy
    noise: Energy
    grid_noise: Energy | None
    cut_noise: float = 0.0
    cut: int = 0
    count: int = 0
    peak: Energy = field(default_factory=lambda: np.zeros(0))
    weight_signal: float = 0.0
    weight_noise: float = 0.0

    @classmethod
    def of(cls, channels: int, *, has_grid: bool) -> Energies:
        """Nothing gathered yet."""
        zeros = np.zeros(channels)
        return cls(zeros.copy(), zeros.copy(), zeros.copy() if has_grid else None, peak=zeros.copy())

    def add(self, expected: FloatArray, actual: FloatArray, held: ChannelMap, grid: Grid | None) -> None:
        """Take in one image: ``[channels, pixels]`` of both, the file's channels as ``held`` says."""
        self.signal += _squares(expected)
        self.noise += _squares(expected - held.to_reference(expected, actual))
        self.count += expected.size
        np.maximum(self.peak, np.abs(expected).max(1), out=self.peak)
        if grid is None or self.grid_noise is None:
            return
        own = held.to_file(expected)
        difference = (grid.nearest(own) - own) * held.scales
        beyond = (own > grid.high) | (own < grid.low)
        self.grid_noise += _squares(difference)
        self.cut += int(beyond.sum())
        self.cut_noise += float(np.square(difference[beyond], dtype=np.float64).sum())

    def add_products(self, expected: FloatArray, difference: FloatArray) -> None:
        """Take in a weighted layer's products, and what the file's weights change in them."""
        self.weight_signal += float(np.square(expected, dtype=np.float64).sum())
        self.weight_noise += float(np.square(difference, dtype=np.float64).sum())


def _squares(values: FloatArray) -> Energy:
    sums: Energy = np.square(values, dtype=np.float64).sum(1)
    return sums
