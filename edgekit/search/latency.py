"""Predicted latency of a network on a target, with its error, and when there is nothing to go by."""

from __future__ import annotations

from typing import NamedTuple

from edgekit.errors import InputError, UnsupportedError
from edgekit.latency_model import LatencyModel
from edgekit.models import zoo
from edgekit.models.network import Network
from edgekit.options import Precision
from edgekit.search.layer_work import LAYER_KINDS
from edgekit.search.work import KINDS, Prices, latency_ms
from edgekit.target import Target

__all__ = ["Latency", "model_for", "predict", "prices_of", "unpredictable"]

_REACH = 1.5
"""How far, as a factor, a prediction may lie beyond the measured rows and still be one between them."""
_UNSEEN_PERCENT = 25.0
"""Error to expect for a family that nobody measured there. MobileNet v2 in int8 on a Pixel 2 from rows of
MobileNet v1 alone errs by 24 %."""


class Latency(NamedTuple):
    """Milliseconds of one inference, the expected error in percent, and whether rows support it."""

    latency_ms: float
    error_percent: float
    extrapolates: bool


def predict(network: Network, model: LatencyModel) -> Latency:
    """How long one image takes.

    It extrapolates for families that were not measured and beyond the measured range; the error is the
    mean of the rows left out, then the largest of them.
    """
    predicted_ms = latency_ms(network, model.precision, prices_of(model))
    families, fastest_ms, slowest_ms = _measured(model)
    errors = model.leave_one_out
    seen = network.family in families
    if seen and errors and fastest_ms / _REACH <= predicted_ms <= slowest_ms * _REACH:
        return Latency(predicted_ms, errors.mean, False)
    largest = errors.maximum if errors else _UNSEEN_PERCENT
    unseen = model.held_out_families.maximum if model.held_out_families else _UNSEEN_PERCENT
    return Latency(predicted_ms, largest if seen else max(largest, unseen), True)


def prices_of(model: LatencyModel) -> Prices:
    """The fitted prices in the order of the kinds of work.

    Raises InputError for a model of other kinds, which another version of edgekit fitted.
    """
    kinds = LAYER_KINDS if model.detail == "layers" else KINDS
    if missing := [kind for kind in kinds if kind not in model.nanoseconds]:
        raise InputError(
            f"the latency model of {model.title} has no price for {missing[0]!r}: another version fitted it",
            hint="run `edgekit targets fit host` again",
        )
    return tuple(model.nanoseconds[kind] for kind in kinds)


def model_for(target: Target, precision: Precision, num_threads: int | None) -> LatencyModel:
    """The latency model of ``target``. Raises UnsupportedError, saying what there is, without one."""
    model = target.latency_model(precision, num_threads)
    if model is None:
        raise unpredictable(target, precision, num_threads)
    return model


def unpredictable(target: Target, precision: Precision, num_threads: int | None) -> UnsupportedError:
    """Why there is no prediction, and what there is instead."""
    asked = precision if num_threads is None else f"{precision} on {num_threads} threads"
    measured = "; ".join(model.title for model in target.latency)
    return UnsupportedError(
        f"the latency of {asked} on {target.name} cannot be predicted: there are no measurements of it",
        hint=f"measured there: {measured}" if measured else f"targets with measurements: {_predictable()}",
    )


def _predictable() -> str:
    from edgekit.target import all_targets  # only an error needs all of them

    return ", ".join(target.name for target in all_targets() if target.latency)


def _measured(model: LatencyModel) -> tuple[frozenset[str], float, float]:
    measured_ms = [row.latency_ms for row in model.rows]
    return (
        frozenset(zoo.family_of(row.model) for row in model.rows),
        min(measured_ms),
        max(measured_ms),
    )
