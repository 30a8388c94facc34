"""Choosing the range of an activation from its distribution.

Every method returns parameters that hold zero exactly. ``minmax`` keeps every observed number;
``mse`` (Banner et al. 2019 and others) gives up rare large ones for a finer step where that lowers the
expected squared error; ``percentile`` cuts a fixed share of the numbers on each side; ``entropy`` (Migacz,
8-bit Inference with TensorRT, GTC 2017) keeps the distribution of the integers nearest to that of the
numbers, by the Kullback-Leibler divergence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from edgekit.options import RangeMethod
from edgekit.quantize.arithmetic import INT8_MAX, INT8_MIN, ActivationParams, activation_params
from edgekit.quantize.observers import Observer

__all__ = ["METHODS", "choose_params"]

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


def _entropy(observers: Sequence[Observer]) -> ActivationParams:
    centers, counts, full = _histogram(observers)
    candidates = [activation_params(share * full.low, share * full.high) for share in _SHARES]
    distinct = list(dict.fromkeys(candidates))
    return min(distinct, key=lambda params: _divergence(params, centers, counts))


def _divergence(params: ActivationParams, centers: FloatArray, counts: IntArray) -> float:
    """KL divergence of the distribution from what the integers can tell of it, in nats.

    Numbers of one integer are taken to be equally frequent; what is cut off counts at its end.
    """
    inside = (centers >= params.low) & (centers <= params.high)
    if not inside.any():
        return np.inf
    held, numbers = centers[inside], counts[inside].astype(np.float64)
    slots = (np.clip(np.rint(held / params.scale) + params.zero_point, INT8_MIN, INT8_MAX) - INT8_MIN).astype(
        int
    )
    told = np.bincount(slots, numbers)[slots] / np.bincount(slots)[slots]
    numbers[held.argmin()] += counts[centers < params.low].sum()
    numbers[held.argmax()] += counts[centers > params.high].sum()
    seen, told = numbers / numbers.sum(), told / told.sum()
    return float(np.sum(seen * np.log(seen / told)))


def _mse(observers: Sequence[Observer]) -> ActivationParams:
    centers, counts, full = _histogram(observers)
    cut = _best([activation_params(full.low, share * full.high) for share in _SHARES], centers, counts)
    return _best([activation_params(share * cut.low, cut.high) for share in _SHARES], centers, counts)


def _histogram(observers: Sequence[Observer]) -> tuple[FloatArray, IntArray, ActivationParams]:
    """Centers and counts of all bins that hold numbers, and the range of all numbers."""
    centers = np.concatenate([o.centers() for o in observers])
    counts = np.concatenate([o.counts for o in observers])
    return centers[counts > 0], counts[counts > 0], _minmax(observers)


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
    "entropy": _entropy,
}
