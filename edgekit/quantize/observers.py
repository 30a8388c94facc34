"""Streaming statistics of activations: exact extremes and a histogram, in memory that does not grow.

One histogram holds a value's distribution over all calibration images. When a number falls outside,
the bin width doubles by merging neighbours, so one pass over the images is enough.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edgekit.errors import InputError

__all__ = ["BINS", "Observer", "Sample", "check_finite"]

BINS = 2048
_SAMPLED = 1 << 14  # numbers of one image that enter the histogram; extremes always see all
_LEAST_SPREAD = 1e-30  # of the first image: the inverse of a bin's width is still a float32


class Sample(NamedTuple):
    """What an observer has to see of a batch: its extremes, and some of its ``values`` ``[n]``."""

    low: float
    high: float
    values: npt.NDArray[np.float32]

    @classmethod
    def of(cls, values: npt.NDArray[np.float32]) -> Sample:
        """A sample of values of any shape."""
        flat = values.reshape(-1)
        step = -(-flat.size // _SAMPLED)
        # An odd step does not stay in one channel or column of a tensor with even sides.
        return cls(float(values.min()), float(values.max()), flat[:: step | 1].copy())


@dataclass
class Observer:
    """Distribution of one value: exact ``low`` and ``high``, ``counts`` of bins from ``start`` on."""

    name: str
    low: float = np.inf
    high: float = -np.inf
    start: float = 0.0
    width: float = 0.0
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64), repr=False)

    def update(self, values: npt.NDArray[np.float32] | Sample) -> None:
        """Take in the values of one batch, any shape; :class:`InputError` names a value with NaN or inf."""
        sample = values if isinstance(values, Sample) else Sample.of(values)
        check_finite(self.name, sample.low, sample.high)
        self.low, self.high = min(self.low, sample.low), max(self.high, sample.high)
        self._cover(sample.low, sample.high)
        bins = ((sample.values - np.float32(self.start)) * np.float32(1 / self.width)).astype(np.int32)
        self.counts += np.bincount(np.clip(bins, 0, BINS - 1), minlength=BINS)

    def centers(self) -> npt.NDArray[np.float64]:
        """Middle of each bin."""
        return self.start + self.width * (np.arange(BINS, dtype=np.float64) + 0.5)

    def _cover(self, low: float, high: float) -> None:
        if self.width == 0.0:
            spread = max(high - low, abs(low) * 1e-6, _LEAST_SPREAD)
            self.start, self.width = low, spread / BINS * 1.001
        while high >= self.start + BINS * self.width:
            self._merge(at_end=True)
        while low < self.start:
            self._merge(at_end=False)

    def _merge(self, *, at_end: bool) -> None:
        half = self.counts.reshape(-1, 2).sum(1)
        empty = np.zeros(BINS // 2, np.int64)
        if not at_end:
            self.start -= BINS * self.width
        self.counts = np.concatenate([half, empty] if at_end else [empty, half])
        self.width *= 2


def check_finite(name: str, low: float, high: float) -> None:
    """Raise :class:`InputError` that names a value whose extremes are NaN or infinite."""
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError(
            f"activation {name!r} is not finite on a calibration image",
            hint="check the weights and the preprocessing: the network overflows at this layer",
        )
