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

_SHRINK = np.linspace(1.0, 0.3, 36)
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
    full = _minmax(observers)
    low, high = min(full.low, 0.0), max(full.high, 0.0)
    centers = np.concatenate([o.centers() for o in observers])
    counts = np.concatenate([o.counts for o in observers])
    seen = counts > 0
    centers, counts = centers[seen], counts[seen]
    lows = _SHRINK * min(o.low for o in observers) if low < -full.scale else np.zeros(1)
    highs = _SHRINK * high
    best_high = min(highs, key=lambda h: _error(centers, counts, low, float(h)))
    best_low = min(lows, key=lambda v: _error(centers, counts, float(v), float(best_high)))
    return activation_params(float(best_low), float(best_high))


def _error(centers: FloatArray, counts: npt.NDArray[np.int64], low: float, high: float) -> float:
    params = activation_params(low, high)
    steps = np.rint(centers / params.scale) + params.zero_point
    held = (np.clip(steps, INT8_MIN, INT8_MAX) - params.zero_point) * params.scale
    return float((counts * (held - centers) ** 2).sum())


METHODS: dict[RangeMethod, Callable[[Sequence[Observer]], ActivationParams]] = {
    "minmax": _minmax,
    "mse": _mse,
    "percentile": _percentile,
}
