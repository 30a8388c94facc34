"""The latency model of a target as data: the measurements, what was fitted to them, and how far it errs.

A model belongs to one precision and thread count. It is a sum: each kind of work that a network does,
times the nanoseconds that one unit of it takes.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from edgekit.options import Precision

__all__ = ["LatencyErrors", "LatencyModel", "LatencyRow"]


class LatencyRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One published measurement. ``model`` is a name of the zoo; a scale that is left out is its own."""

    model: str
    width: float | None = None
    depth: float | None = None
    resolution: int | None = None
    latency_ms: float


class LatencyErrors(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Absolute errors in percent, of rows that the fit did not see: each was left out once.

    ``within_10`` is the share of rows within ±10 %. ``macs_only_median`` is the median of the best line
    through zero on multiply-adds alone, judged the same way.
    """

    median: float
    mean: float
    maximum: float
    within_10: float
    macs_only_median: float


class LatencyModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Coefficients with everything that they came from.

    ``nanoseconds`` has one entry for each kind of work: of :data:`edgekit.search.work.KINDS`, or, where
    ``detail`` is ``"layers"``, of :data:`edgekit.search.layer_work.LAYER_KINDS`. ``cohort`` names the models
    of other targets (same runtime and precision) that the fit leans on where its own rows leave it open,
    and ``prior_weight`` says how strongly. ``held_out_families`` are errors of rows whose whole family the
    fit did not see.
    """

    precision: Precision
    num_threads: int
    runtime: str
    source: str
    detail: Literal["network", "layers"] = "network"
    cohort: str = ""
    prior_weight: float = 0.0
    note: str = ""
    nanoseconds: dict[str, float] = {}
    leave_one_out: LatencyErrors | None = None
    held_out_families: LatencyErrors | None = None
    rows: tuple[LatencyRow, ...]

    @property
    def title(self) -> str:
        """``fp32, 1 thread, TFLite``."""
        threads = f"{self.num_threads} thread{'s' if self.num_threads > 1 else ''}"
        return f"{self.precision}, {threads}, {self.runtime}"
