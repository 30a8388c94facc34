"""Measurements beside predictions, and how far these err."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.latency_model import LatencyErrors, LatencyModel, LatencyRow
from edgekit.models import zoo
from edgekit.models.network import Network
from edgekit.search.latency import prices_of
from edgekit.search.work import latency_ms

__all__ = ["Residual", "errors_of", "network_of", "residuals"]

_WITHIN = 10.0


@dataclass(frozen=True)
class Residual:
    """One measurement beside what is predicted for it."""

    row: LatencyRow
    predicted_ms: float

    @property
    def title(self) -> str:
        """``mobilenet_v2 0.75 at 160``."""
        network = network_of(self.row)
        width = "" if self.row.width is None else f" {self.row.width:g}"
        return f"{self.row.model}{width} at {network.scale.resolution}"

    @property
    def error_percent(self) -> float:
        return (self.predicted_ms / self.row.latency_ms - 1) * 100


def network_of(row: LatencyRow) -> Network:
    """The network that a row measured."""
    return zoo.network(
        row.model, zoo.default_scale(row.model), width=row.width, depth=row.depth, resolution=row.resolution
    )


def residuals(model: LatencyModel) -> tuple[Residual, ...]:
    """Every row beside what the stored prices predict for it."""
    prices = prices_of(model)
    return tuple(Residual(row, latency_ms(network_of(row), model.precision, prices)) for row in model.rows)


def errors_of(left_out: Sequence[Residual], macs_only: Sequence[Residual]) -> LatencyErrors | None:
    if not left_out:
        return None
    errors = [abs(one.error_percent) for one in left_out]
    return LatencyErrors(
        median=round(statistics.median(errors), 2),
        mean=round(statistics.fmean(errors), 2),
        maximum=round(max(errors), 2),
        within_10=round(100 * sum(error <= _WITHIN for error in errors) / len(errors), 1),
        macs_only_median=round(statistics.median(abs(one.error_percent) for one in macs_only), 2),
    )
