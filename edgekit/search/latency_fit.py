"""Fitting a target's latency models to its measurements, and how far they err on rows they did not see.

A target with a grid of rows fixes its own prices. Where the rows leave a price open (one family only, or
four rows in all) the fit leans on the prices of the cohort: the other targets that run the same kernels,
each in its own unit of speed. A row that is left out is left out of everything that predicts it.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import mul

import msgspec

from edgekit.errors import InputError
from edgekit.latency_model import LatencyModel
from edgekit.options import Precision
from edgekit.search.nonnegative import solve
from edgekit.search.residuals import Residual, errors_of, network_of, residuals
from edgekit.search.work import KINDS, Prices, work
from edgekit.target import Target, all_targets

__all__ = ["Residual", "fit_model", "fit_prices", "fit_target", "leave_one_out", "network_of", "residuals"]

_UNIT = {
    "mac": 1.0,
    "depthwise_mac": 1.0,
    "convolution_mac": 1.0,
    "activation_byte": 2.0,
    "elementwise_byte": 2.0,
    "weight_byte": 2.0,
    "operator": 2e5,
}
"""What a unit of each kind costs at most times in multiply-adds: the scale on which prices are compared."""
_INT8_UNIT = _UNIT | {"activation_byte": 8.0, "elementwise_byte": 8.0, "weight_byte": 8.0}
_RIDGE = {
    "mac": 1e-3,
    "depthwise_mac": 1e-2,
    "convolution_mac": 1e-2,
    "activation_byte": 1e-3,
    "elementwise_byte": 1e-2,
    "weight_byte": 1e-2,
    "operator": 1e-1,
}
"""How strongly each price is drawn to zero when there is no cohort: the surcharges more than the base."""
_SPEED_ROUNDS = 8


@dataclass(frozen=True)
class _Data:
    """The rows of one model as numbers."""

    work: tuple[tuple[float, ...], ...]
    measured_ns: tuple[float, ...]
    precision: Precision

    def without(self, index: int) -> _Data:
        return _Data(
            self.work[:index] + self.work[index + 1 :],
            self.measured_ns[:index] + self.measured_ns[index + 1 :],
            self.precision,
        )


def fit_target(target: Target) -> Target:
    """``target`` with the prices and errors of all its latency models fitted anew.

    Raises InputError for a target without measurements.
    """
    if not target.latency:
        raise InputError(
            f"target {target.name} has no measurements to fit",
            hint="add [[latency]] models with rows to its file",
        )
    others = [one for one in all_targets() if one.name != target.name]
    fitted = tuple(fit_model(model, others) for model in target.latency)
    return msgspec.structs.replace(target, latency=fitted)


def fit_model(model: LatencyModel, others: Sequence[Target]) -> LatencyModel:
    """``model`` with fitted prices and leave-one-out errors; ``others`` may hold its cohort."""
    if model.detail == "layers":
        from edgekit.search.layer_fit import fit_layers  # brings numpy, which showing a target does without

        return fit_layers(model)
    prices = fit_prices(model, others)
    return msgspec.structs.replace(
        model,
        nanoseconds={kind: float(f"{price:.6g}") for kind, price in zip(KINDS, prices, strict=True)},
        leave_one_out=errors_of(leave_one_out(model, others), _macs_only(model)),
    )


def fit_prices(model: LatencyModel, others: Sequence[Target]) -> Prices:
    """The prices that fit the rows of ``model``, leaning on its cohort among ``others``."""
    return _fit(_data(model), _cohort(model, others), model.prior_weight)


def leave_one_out(model: LatencyModel, others: Sequence[Target]) -> tuple[Residual, ...]:
    """Every row predicted by a fit to all other rows."""
    cohort = _cohort(model, others)
    return _each_left_out(model, lambda data: _fit(data, cohort, model.prior_weight))


def _macs_only(model: LatencyModel) -> tuple[Residual, ...]:
    def line(data: _Data) -> Prices:
        shares = [row[0] / measured for row, measured in zip(data.work, data.measured_ns, strict=True)]
        return (sum(shares) / sum(share * share for share in shares), *[0.0] * (len(KINDS) - 1))

    return _each_left_out(model, line)


def _each_left_out(model: LatencyModel, fit: Callable[[_Data], Prices]) -> tuple[Residual, ...]:
    data = _data(model)
    if len(model.rows) < 2:
        return ()
    return tuple(
        Residual(row, sum(map(mul, data.work[index], fit(data.without(index)))) * 1e-6)
        for index, row in enumerate(model.rows)
    )


def _data(model: LatencyModel) -> _Data:
    return _Data(
        tuple(work(network_of(row), model.precision) for row in model.rows),
        tuple(row.latency_ms * 1e6 for row in model.rows),
        model.precision,
    )


def _cohort(model: LatencyModel, others: Sequence[Target]) -> tuple[_Data, ...]:
    return tuple(_data(one) for other in others for one in other.latency if one.cohort == model.cohort)


def _fit(data: _Data, cohort: Sequence[_Data], prior_weight: float) -> Prices:
    if not cohort:
        return _solve(data, _RIDGE)
    prior = _shared(cohort)
    speed = _speed(data, prior)
    return _solve(data, dict.fromkeys(KINDS, prior_weight), tuple(price * speed for price in prior))


def _solve(data: _Data, ridge: Mapping[str, float], prior: Prices | None = None) -> Prices:
    """Minimize relative errors, with prices measured in the unit that their kind typically costs."""
    rate = statistics.median(
        measured / row[0] for row, measured in zip(data.work, data.measured_ns, strict=True)
    )
    units = _INT8_UNIT if data.precision == "int8" else _UNIT
    scales = [rate * units[kind] for kind in KINDS]
    shares = [
        [amount * scale / measured for amount, scale in zip(row, scales, strict=True)]
        for row, measured in zip(data.work, data.measured_ns, strict=True)
    ]
    solution = solve(
        shares,
        [1.0] * len(shares),
        weights=[ridge[kind] for kind in KINDS],
        prior=None if prior is None else [price / scale for price, scale in zip(prior, scales, strict=True)],
    )
    return tuple(map(mul, solution, scales))


def _shared(cohort: Sequence[_Data]) -> Prices:
    """The prices that serve all members, each slowed or sped up by its own factor."""
    speeds = [1.0] * len(cohort)
    prices: Prices = ()
    for _ in range(_SPEED_ROUNDS):
        pooled = _Data(
            tuple(row for data in cohort for row in data.work),
            tuple(
                measured / speed
                for data, speed in zip(cohort, speeds, strict=True)
                for measured in data.measured_ns
            ),
            cohort[0].precision,
        )
        prices = _solve(pooled, _RIDGE)
        speeds = [_speed(data, prices) for data in cohort]
        first = speeds[0]  # only their ratios matter
        speeds = [speed / first for speed in speeds]
    return prices


def _speed(data: _Data, prices: Prices) -> float:
    """The factor on ``prices`` that fits the rows best, by relative errors."""
    ratios = [
        sum(map(mul, row, prices)) / measured
        for row, measured in zip(data.work, data.measured_ns, strict=True)
    ]
    return float(sum(ratios) / sum(ratio * ratio for ratio in ratios))
