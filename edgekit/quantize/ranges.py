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

__all__ = ["METHODS", "RangeMethod", "choose_params", "cutting_gain_db"]

RangeMethod = Literal["minmax", "mse", "percentile"]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_EXTREMES: tuple[RangeMethod, RangeMethod] = ("minmax", "mse")

_SHARES = np.linspace(1.0, 0.3, 36).tolist()  # of the full range that `mse` tries, the whole first
_TAIL = 1e-5  # share of the numbers that `percentile` cuts on each side


def choose_params(observers: Sequence[Observer], method: RangeMethod) -> ActivationParams:
    """Common parameters of values that have to share them."""
    return METHODS[method](observers)


def cutting_gain_db(observers: Sequence[Observer]) -> float:
    """How much less error the histogram promises of ``mse`` than of ``minmax``, in dB, at least 0."""
    centers, counts = _histogram(observers)
    kept, cut = (_errors([METHODS[method](observers)], centers, counts)[0] for method in _EXTREMES)
    return float(10 * np.log10(kept / cut)) if cut > 0 else 0.0


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
    centers, counts = _histogram(observers)
    full = _minmax(observers)
    cut = _best([activation_params(full.low, share * full.high) for share in _SHARES], centers, counts)
    return _best([activation_params(share * cut.low, cut.high) for share in _SHARES], centers, counts)


def _histogram(observers: Sequence[Observer]) -> tuple[FloatArray, IntArray]:
    """Middles and counts of the bins that hold anything, of all observers together."""
    centers = np.concatenate([o.centers() for o in observers])
    counts = np.concatenate([o.counts for o in observers])
    seen = counts > 0
    return centers[seen], counts[seen]


def _best(candidates: Sequence[ActivationParams], centers: FloatArray, counts: IntArray) -> ActivationParams:
    """The candidate with the least squared error over the histogram; the first of equal ones."""
    distinct = list(dict.fromkeys(candidates))
    return distinct[int(_errors(distinct, centers, counts).argmin())]


def _errors(candidates: Sequence[ActivationParams], centers: FloatArray, counts: IntArray) -> FloatArray:
    """Sum of squared errors of the histogram's numbers under each of the candidates."""
    scales = np.array([[params.scale] for params in candidates])
    zeros = np.array([[params.zero_point] for params in candidates])
    steps = np.clip(np.rint(centers / scales) + zeros, INT8_MIN, INT8_MAX)
    errors: FloatArray = np.square((steps - zeros) * scales - centers) @ counts
    return errors


METHODS: dict[RangeMethod, Callable[[Sequence[Observer]], ActivationParams]] = {
    "minmax": _minmax,
    "mse": _mse,
    "percentile": _percentile,
}
