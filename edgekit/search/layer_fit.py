"""Fitting a latency model by kinds of layer to the many rows that a machine at hand can be asked for.

A network's time is one number for its many layers. Where a profiler told how it divides among them, every
layer is an equation of its own: then a kind's price is known from layers, not from how networks differ.
Probes (:mod:`edgekit.search.probes`) add layers that no family measured has.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from edgekit.latency_model import LatencyModel, LatencyRow
from edgekit.models.cost import cost
from edgekit.models.network import Network
from edgekit.options import INTEGER
from edgekit.search.layer_work import LAYER_KINDS, layer_amounts, network_amounts
from edgekit.search.nonnegative import solve
from edgekit.search.residuals import Residual, errors_of, network_of

__all__ = ["Timed", "fit_layers", "work_of_layers"]

_RIDGE = 1e-7
_NETWORK_WEIGHT = 6.0
_LEAST_MS = 2e-3  # what a profiler tells of shorter layers is mostly its own work
_UNUSED = [index for index, kind in enumerate(LAYER_KINDS) if kind.endswith("_spare_mac")]
"""Kinds that int8 has no use for: its tiles have other sizes from processor to processor."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Timed:
    """A network, milliseconds of its inference, and of those of its layers that a profiler names."""

    network: Network
    latency_ms: float
    layers_ms: Mapping[str, float]

    @property
    def row(self) -> LatencyRow:
        """What a latency model keeps of it."""
        scale = self.network.scale
        return LatencyRow(
            model=self.network.name,
            width=scale.width,
            resolution=scale.resolution,
            latency_ms=self.latency_ms,
        )


@dataclass(frozen=True)
class _Sample:
    """All that is known of a network: ``design`` (equations, kinds) times the prices is ``values``.

    The first equation is of the whole network, ``amounts`` is its work. Equations are weighted.
    """

    amounts: Array
    design: Array
    values: Array


def fit_layers(
    model: LatencyModel, layers_ms: Sequence[Mapping[str, float]] = (), probed: Sequence[Timed] = ()
) -> LatencyModel:
    """``model`` with a price for each kind of layer, from what was measured, and errors of rows left out.

    ``layers_ms`` are for each row the milliseconds of those of its layers that a profiler names. Left out are
    single rows, and whole families; ``probed`` belong to none.
    """
    networks = [network_of(row) for row in model.rows]
    told = layers_ms or [{}] * len(networks)
    timed = [
        Timed(network, row.latency_ms, layers)
        for network, row, layers in zip(networks, model.rows, told, strict=True)
    ]
    unused = _UNUSED if model.precision in INTEGER else []
    samples, more = ([_sample(one, unused) for one in some] for some in (timed, probed))
    macs = [_macs_sample(one) for one in timed]
    each, families = range(len(networks)), [network.family for network in networks]
    prices = _solve([*samples, *more])
    return msgspec.structs.replace(
        model,
        nanoseconds={kind: float(f"{1e6 * one:.6g}") for kind, one in zip(LAYER_KINDS, prices, strict=True)},
        leave_one_out=errors_of(
            _left_out(model.rows, samples, each, more), _left_out(model.rows, macs, each)
        ),
        held_out_families=errors_of(
            _left_out(model.rows, samples, families, more), _left_out(model.rows, macs, families)
        ),
    )


def work_of_layers(network: Network) -> dict[str, tuple[float, ...]]:
    """How much of each of ``LAYER_KINDS`` every layer takes, by its name; all together are the network's."""
    names = (row.name for row in cost(network).layers())
    return dict(zip(names, layer_amounts(network), strict=True))


def _sample(one: Timed, unused: Sequence[int]) -> _Sample:
    """The network and its layers, without the kinds of these indices."""
    work = work_of_layers(one.network) if one.layers_ms else {}
    rows = np.array([network_amounts(one.network), *(work[layer] for layer in one.layers_ms)])
    rows[:, unused] = 0
    return _weighted(rows, [one.latency_ms, *one.layers_ms.values()])


def _macs_sample(one: Timed) -> _Sample:
    """The network by its multiply-adds alone."""
    return _weighted(np.array([[float(cost(one.network).macs)]]), [one.latency_ms])


def _weighted(design: Array, times_ms: Sequence[float]) -> _Sample:
    """The first row, the network, counts by its relative error, a layer by its error's share of it."""
    values = np.array(times_ms)
    weights = 1 / np.sqrt(np.maximum(values, _LEAST_MS) * values[0])
    weights[0] *= _NETWORK_WEIGHT
    return _Sample(design[0], weights[:, None] * design, weights * values)


def _left_out(
    rows: Sequence[LatencyRow],
    samples: Sequence[_Sample],
    groups: Sequence[Hashable],
    more: Sequence[_Sample] = (),
) -> list[Residual]:
    """Every row predicted by a fit to ``more`` and to the rows of all other groups."""
    found: list[Residual] = []
    for group in dict.fromkeys(groups):
        others = [sample for sample, other in zip(samples, groups, strict=True) if other != group]
        prices = _solve([*others, *more])
        found += [
            Residual(row, float(sample.amounts @ prices))
            for row, sample, other in zip(rows, samples, groups, strict=True)
            if other == group
        ]
    return found


def _solve(samples: Sequence[_Sample]) -> Array:
    """Milliseconds of each unit by least squares; each is drawn to zero a little.

    In units of what a kind explains on average, so that how strongly does not depend on its unit.
    """
    design = np.concatenate([sample.design for sample in samples])
    values = np.concatenate([sample.values for sample in samples])
    means = design.mean(axis=0)
    means[means == 0] = 1.0
    weights = [_RIDGE * len(design)] * len(means)
    found: Array = np.array(solve((design / means).tolist(), values.tolist(), weights=weights)) / means
    return found
