"""Whether files became slower than a baseline says: beyond a limit, and beyond noise."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from edgekit.errors import InputError
from edgekit.measure.record import AnyRecord, LatencyRecord
from edgekit.measure.statistics import Ratio, ratio_interval

__all__ = ["Change", "changes", "turns_of"]

_QUICK_PERCENTILE = 10


@dataclass(frozen=True)
class Change:
    """One file now over the same file in the baseline. ``quick`` compares their quickest tenths."""

    record: LatencyRecord
    baseline: LatencyRecord
    ratio: Ratio
    quick: float

    def is_regression(self, limit: float) -> bool:
        """Whether it takes over 1 + ``limit`` times as long for certain.

        Noise only ever adds time, so where either was noisy its quickest runs have to be slower as well.
        """
        is_noisy = self.record.noisy or self.baseline.noisy
        is_slower = self.ratio.value > 1 + limit and self.ratio.ci95[0] > 1
        return is_slower and (not is_noisy or self.quick > 1 + limit)


def changes(records: Sequence[LatencyRecord], baseline: Sequence[AnyRecord]) -> list[Change]:
    """Each record against the latest of the baseline for the same file name, device, runtime and threads.

    Raises InputError when the baseline lacks one, or was measured on another processor.
    """
    known = {_key(one): one for one in baseline if isinstance(one, LatencyRecord)}
    return [_change(one, known.get(_key(one))) for one in records]


def turns_of(record: LatencyRecord) -> list[tuple[float, ...]]:
    """The record's samples by turns."""
    ends = np.cumsum(record.rounds or (len(record.samples_ms),)).tolist()
    return [record.samples_ms[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _key(record: LatencyRecord) -> Hashable:
    is_sustained = record.sustained is not None
    return PurePath(record.artifact).name, record.device, record.runtime, record.num_threads, is_sustained


def _change(record: LatencyRecord, baseline: LatencyRecord | None) -> Change:
    name = PurePath(record.artifact).name
    if baseline is None:
        raise InputError(
            f"the baseline has no {name} on {record.device}, {record.runtime}, {record.num_threads} threads",
            hint="measure it once with -o into the baseline's file",
        )
    cpus = baseline.environment.cpu, record.environment.cpu
    if cpus[0] != cpus[1]:
        raise InputError(
            f"the baseline of {name} was measured on {cpus[0]}, this is {cpus[1]}",
            hint="compare on the same processor, or measure a new baseline",
        )
    quick = [np.percentile(one.samples_ms, _QUICK_PERCENTILE) for one in (record, baseline)]
    ratio = ratio_interval(turns_of(record), turns_of(baseline), is_paired=False)
    return Change(record, baseline, ratio, float(quick[0] / quick[1]))
