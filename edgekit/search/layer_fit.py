"""Fitting a latency model by kinds of layer to the many rows that a machine at hand can be asked for."""

from __future__ import annotations

import statistics
from collections.abc import Hashable, Sequence
from operator import mul

import msgspec

from edgekit.latency_model import LatencyModel
from edgekit.models.cost import cost
from edgekit.search.layer_work import LAYER_KINDS
from edgekit.search.nonnegative import solve
from edgekit.search.residuals import Residual, errors_of, network_of
from edgekit.search.work import Prices, layer_work

__all__ = ["fit_layers"]

_RIDGE = 1e-4

Features = Sequence[Sequence[float]]


def fit_layers(model: LatencyModel) -> LatencyModel:
    """``model`` with a price for each kind of layer, from its own rows alone, and errors of rows left out.

    Left out are single rows, and whole families.
    """
    networks = [network_of(row) for row in model.rows]
    amounts = [layer_work(network) for network in networks]
    macs = [(float(cost(network).macs),) for network in networks]
    each, families = range(len(networks)), [network.family for network in networks]
    prices = _solve(amounts, [row.latency_ms for row in model.rows])
    return msgspec.structs.replace(
        model,
        nanoseconds={kind: float(f"{1e6 * one:.6g}") for kind, one in zip(LAYER_KINDS, prices, strict=True)},
        leave_one_out=errors_of(_left_out(model, each, amounts), _left_out(model, each, macs)),
        held_out_families=errors_of(_left_out(model, families, amounts), _left_out(model, families, macs)),
    )


def _left_out(model: LatencyModel, groups: Sequence[Hashable], features: Features) -> list[Residual]:
    """Every row predicted by a fit to the rows of all other groups."""
    found: list[Residual] = []
    for group in dict.fromkeys(groups):
        others = [index for index, other in enumerate(groups) if other != group]
        prices = _solve(
            [features[index] for index in others], [model.rows[index].latency_ms for index in others]
        )
        found += [
            Residual(model.rows[index], sum(map(mul, features[index], prices)))
            for index, other in enumerate(groups)
            if other == group
        ]
    return found


def _solve(features: Features, measured_ms: Sequence[float]) -> Prices:
    """Milliseconds of each unit by least relative errors; each is drawn to zero a little.

    In units of what a kind explains on average, so that how strongly does not depend on its unit.
    """
    shares = [[one / ms for one in row] for row, ms in zip(features, measured_ms, strict=True)]
    means = [statistics.fmean(column) or 1.0 for column in zip(*shares, strict=True)]
    scaled = [[share / mean for share, mean in zip(row, means, strict=True)] for row in shares]
    solution = solve(scaled, [1.0] * len(scaled), weights=[_RIDGE * len(scaled)] * len(means))
    return tuple(one / mean for one, mean in zip(solution, means, strict=True))
