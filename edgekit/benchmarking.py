"""``edgekit benchmark``: from files to records, and to what the records say about each other."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from edgekit import limits
from edgekit.devices import Device, open_device
from edgekit.measure.record import LatencyRecord
from edgekit.measure.record import read as read_records
from edgekit.measure.regression import Change, changes, turns_of
from edgekit.measure.session import BenchmarkOptions, Progress, Protocol, files_of
from edgekit.measure.session import measure as measure_files
from edgekit.measure.statistics import Ratio, ratio_interval
from edgekit.recording import Conditions, record_of
from edgekit.results import JSON
from edgekit.target import Target, resolve

__all__ = [
    "BenchmarkResult",
    "Comparison",
    "benchmark",
    "find_regressions",
]

_LOCAL_GPUS = "gpu"
_FEWEST_TO_COMPARE = 2


@dataclass(frozen=True)
class Comparison:
    """Two files of one session: how long ``artifact`` takes over ``reference``, of turns side by side."""

    artifact: str
    reference: str
    ratio: Ratio

    def to_json(self) -> dict[str, JSON]:
        return {
            "artifact": self.artifact,
            "reference": self.reference,
            "ratio": round(self.ratio.value, 5),
            "ci95": [round(limit, 5) for limit in self.ratio.ci95],
            "is_real": self.ratio.is_real,
        }


@dataclass(frozen=True)
class BenchmarkResult:
    """One record for each file, in their order, and each later file against the first."""

    records: tuple[LatencyRecord, ...]
    comparisons: tuple[Comparison, ...] = ()
    regressions: tuple[Change, ...] = field(default=(), repr=False)

    def to_json(self) -> dict[str, Any]:
        return {
            "records": [msgspec.to_builtins(record) for record in self.records],
            "comparisons": [comparison.to_json() for comparison in self.comparisons],
        }


def benchmark(
    artifacts: Sequence[Path | str],
    options: BenchmarkOptions | None = None,
    progress: Progress | None = None,
    *,
    device: Device | None = None,
) -> BenchmarkResult:
    """Measure ``.tflite``, ``.onnx`` and ``.xml`` files, ours or not, on a device; several take turns.

    ``device`` is that of ``options.device`` when it has been opened before.
    Raises ModelFileError for a file that cannot be run, UnsupportedError for one that the target refuses,
    DeviceError for a device that cannot be used, DeviceLostError when its connection is cut.
    """
    options = options or BenchmarkOptions()
    paths = [Path(artifact) for artifact in artifacts]
    for path in paths:
        files_of(path)
    target = resolve(options.target)[0] if options.target else None
    warnings = [_warnings(path, target, options) for path in paths]
    device = device or open_device(options.device)
    protocol = _protocol(options, target)
    measured = measure_files(device, paths, protocol, progress)
    session = secrets.token_hex(8) if len(paths) > 1 else None
    records = tuple(
        record_of(path, one, Conditions(device, protocol, options, session), told)
        for path, one, told in zip(paths, measured, warnings, strict=True)
    )
    return BenchmarkResult(records, _comparisons(records))


def find_regressions(
    result: BenchmarkResult,
    baseline: Path,
    limit: float,
    options: BenchmarkOptions,
    progress: Progress | None = None,
) -> BenchmarkResult:
    """``result`` with the files that take over 1 + ``limit`` times as long as ``baseline`` says.

    What looks like one is measured a second time, and counts if it does so again; then that measurement is
    among the records too. Raises InputError when the baseline does not have the files.
    """
    known = read_records(baseline)
    suspects = [one for one in changes(result.records, known) if one.is_regression(limit)]
    if not suspects:
        return result
    again = benchmark([one.record.artifact for one in suspects], options, progress)
    confirmed = [one for one in changes(again.records, known) if one.is_regression(limit)]
    return replace(result, records=result.records + again.records, regressions=tuple(confirmed))


def _protocol(options: BenchmarkOptions, target: Target | None) -> Protocol:
    return Protocol(
        num_threads=options.num_threads or (target.num_threads if target else None) or 1,
        num_runs=options.num_runs,
        warmup_runs=options.warmup_runs,
        seconds=options.seconds,
        sustained_s=options.sustained_s,
        cpus=options.cpus,
        accelerator=target.accelerator if target else None,
        force=options.force,
    )


def _warnings(path: Path, target: Target | None, options: BenchmarkOptions) -> tuple[str, ...]:
    """Sentences about measuring this file; raises UnsupportedError for what the target refuses."""
    if target is None:
        return ()
    refused = limits.check(target, path, force=options.force)
    is_here = target.kind == "format" or target.is_host or target.name.startswith(_LOCAL_GPUS)
    if options.device == "local" and not is_here:
        return (
            *refused,
            f"this machine was measured, which need not be a {target.name}: --device says where",
        )
    return refused


def _comparisons(records: Sequence[LatencyRecord]) -> tuple[Comparison, ...]:
    if len(records) < _FEWEST_TO_COMPARE or records[0].emulated:
        return ()
    first = records[0]
    is_paired = first.sustained is None
    return tuple(
        Comparison(
            other.artifact,
            first.artifact,
            ratio_interval(turns_of(other), turns_of(first), is_paired=is_paired),
        )
        for other in records[1:]
    )
