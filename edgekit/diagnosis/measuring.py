"""Error energies of one pair of layers, gathered image by image."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from edgekit.runtimes.layers import FileLayer, Grid

__all__ = ["Energies", "channel_scales", "decibels", "in_reference_units"]

FloatArray = npt.NDArray[np.float32]
Energy = npt.NDArray[np.float64]

_RESCALED_GAIN = 10.0  # times less noise: what equalization explains, and quantization does not
_LEAST_CHANGE = 0.05
_LEAST_PIXELS = 16  # of a channel: a factor for each of fewer numbers explains any difference


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

    def add(self, expected: FloatArray, actual: FloatArray, scales: FloatArray, grid: Grid | None) -> None:
        """Take in one image: ``[channels, pixels]`` of both, the file's channels times ``scales``."""
        self.signal += _squares(expected)
        self.noise += _squares(expected - actual * scales)
        self.count += expected.size
        np.maximum(self.peak, np.abs(expected).max(1), out=self.peak)
        if grid is None or self.grid_noise is None:
            return
        own = expected / scales
        difference = (grid.nearest(own) - own) * scales
        beyond = (own > grid.high) | (own < grid.low)
        self.grid_noise += _squares(difference)
        self.cut += int(beyond.sum())
        self.cut_noise += float(np.square(difference[beyond], dtype=np.float64).sum())

    def add_products(self, expected: FloatArray, difference: FloatArray) -> None:
        """Take in a weighted layer's products, and what the file's weights change in them."""
        self.weight_signal += float(np.square(expected, dtype=np.float64).sum())
        self.weight_noise += float(np.square(difference, dtype=np.float64).sum())


def channel_scales(expected: FloatArray, actual: FloatArray) -> FloatArray:
    """What each channel of a file has to be multiplied by, ``[channels, 1]``: ones, unless it is equalized.

    Cross-layer equalization moves factors from one layer's channels into the next layer's weights; the
    network is the same, its inner numbers are not. Factors are believed where they take away nearly all
    of the difference on ``[channels, pixels]`` of an image.
    """
    if expected.shape[1] < _LEAST_PIXELS:
        return np.ones((len(expected), 1), np.float32)
    products = (expected.astype(np.float64) * actual).sum(1)
    squares = _squares(actual)
    factors = np.divide(products, squares, out=np.ones_like(products), where=(squares > 0) & (products > 0))
    plain = float(_squares(expected - actual).sum())
    scaled = float(_squares(expected - actual * factors[:, None]).sum())
    is_equalized = plain > _RESCALED_GAIN * scaled and bool(np.any(np.abs(factors - 1) > _LEAST_CHANGE))
    believed: FloatArray = (factors if is_equalized else np.ones_like(factors)).astype(np.float32)[:, None]
    return believed


def in_reference_units(
    layer: FileLayer, source_scales: FloatArray | None, scales: FloatArray | None
) -> FloatArray:
    """The file's weights as they would be had nothing been equalized: OIHW or ``[out, in]``."""
    weight = layer.weight
    assert weight is not None
    if scales is not None and len(scales) == len(weight):
        weight = weight * scales.reshape([-1] + [1] * (weight.ndim - 1))
    if source_scales is None or np.all(source_scales == 1):
        return weight
    group = layer.window.group if layer.window is not None else 1
    inputs = source_scales.reshape(group, 1, -1)
    grouped = weight.reshape(group, len(weight) // group, weight.shape[1], -1)
    if inputs.shape[2] != weight.shape[1]:
        return weight
    reals: FloatArray = (grouped / inputs[..., None]).reshape(weight.shape)
    return reals


def _squares(values: FloatArray) -> Energy:
    sums: Energy = np.square(values, dtype=np.float64).sum(1)
    return sums
