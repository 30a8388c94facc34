"""Choosing the range of an activation from its distribution.

Every method returns parameters that hold zero exactly. ``minmax`` keeps every observed number;
``mse`` (Banner et al. 2019 and others) gives up rare large ones for a finer step where that lowers the
expected squared error; ``percentile`` cuts a fixed share of the numbers on each side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from edgekit.quantize.arithmetic import INT8_MAX, INT8_MIN, ActivationParams, activation_params
from edgekit.quantize.observers import Observer

__all__ = ["METHODS", "RangeMethod", "choose_params"]

RangeMethod = Literal["minmax", "mse", "percentile"]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_SHARES = np.linspace(1.0, 0.3, 36).tolist()  # of the full range that `mse` tries, the whole first
_TAIL = 1e-5  # share of the numbers that `percentile` cuts on each side


def choose_params(observers: Sequence[Observer], method: RangeMethod) -> ActivationParams:
    """Common parameters of values that have to share them."""
    return METHODS[method](observers)


def _minmax(observers: Sequence[Observer]) -> ActivationParams:
    return activation_params(min(o.low for o in observers), max(o.high for o in observers))


def _percentile(observers: Sequence[Observer]) -> ActivationParams:
    lows, highs = zip(*(_quantiles(o) for o in observers), strict=True)
    return activation_params(min(lows), max(highs))


def _quantiles(observer: Observer) -> tuple[float, float]:
    share = np.cumsum(observer.counts) / max(int(observer.counts.sum()), 1)
    first, last = np.searchsorted(share, [_TAIL, 1 - _TAIL])
    low = observer.start + float(first) * observer.width
    high = observer.start + float(last + 1) * observer.width
    return max(low, observer.low), min(high, observer.high)


def _mse(observers: Sequence[Observer]) -> ActivationParams:
    centers = np.concatenate([o.centers() for o in observers])
    counts = np.concatenate([o.counts for o in observers])
    seen = counts > 0
    centers, counts = centers[seen], counts[seen]
    full = _minmax(observers)
    cut = _best([activation_params(full.low, share * full.high) for share in _SHARES], centers, counts)
    return _best([activation_params(share * cut.low, cut.high) for share in _SHARES], centers, counts)


def _best(candidates: Sequence[ActivationParams], centers: FloatArray, counts: IntArray) -> ActivationParams:
    """The candidate with the least squared error over the histogram; the first of equal ones."""
    distinct = list(dict.fromkeys(candidates))
    scales = np.array([[params.scale] for params in distinct])
    zeros = np.array([[params.zero_point] for params in distinct])
    steps = np.clip(np.rint(centers / scales) + zeros, INT8_MIN, INT8_MAX)
    errors = np.square((steps - zeros) * scales - centers) @ counts
    return distinct[int(errors.argmin())]


METHODS: dict[RangeMethod, Callable[[Sequence[Observer]], ActivationParams]] = {
    "minmax": _minmax,
    "mse": _mse,
    "percentile": _percentile,
}
