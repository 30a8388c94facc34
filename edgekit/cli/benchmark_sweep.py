"""``edgekit benchmark --sweep``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from edgekit.cli import console
from edgekit.cli.console import Column
from edgekit.cli.progress import watch
from edgekit.errors import CheckError, InputError
from edgekit.measure.record import LatencyRecord
from edgekit.report.wording import counted
from edgekit.sweep.run import SweepResult, sweep

__all__ = ["run_sweep"]

_COLUMNS = (
    Column("file"),
    Column("device"),
    Column("threads", is_number=True),
    Column("median ms", is_number=True),
    Column("noisy"),
)


def run_sweep(
    path: Path | None, artifacts: Sequence[Path], results: Path | None, cluster: str | None, json: bool
) -> None:
    """Measure what is missing in ``results``, and print what was added. Raises CheckError for failures."""
    if path is None or artifacts or results is None:
        raise InputError(
            "a sweep is given by --sweep FILE and -o FILE alone",
            hint="files to measure in a sweep are its `artifacts`",
        )
    with watch() as progress:
        result = sweep(path, results, cluster, progress)
    _show(result, json)
    if result.failures:
        raise _failed(result)


def _show(result: SweepResult, json: bool) -> None:
    if json:
        failures = [{"job": one.job.title, "error": str(one.error)} for one in result.failures]
        records = [msgspec.to_builtins(record) for record in result.records]
        console.print_json({"records": records, "known": result.known, "failures": failures})
        return
    if result.records:
        console.print_table(_COLUMNS, [_row(record) for record in result.records])
        console.print_line()
    console.print_line(
        f"{len(result.records)} measured, {result.known} there before, {len(result.failures)} failed"
    )


def _row(record: LatencyRecord) -> tuple[str, ...]:
    median = "emulated" if record.emulated else f"{record.latency_ms.median:.3f}"
    noisy = "yes" if record.noisy else "no"
    return record.artifact, record.device, str(record.num_threads), median, noisy


def _failed(result: SweepResult) -> CheckError:
    reasons = dict.fromkeys(f"{one.job.title}: {one.error}" for one in result.failures)
    return CheckError(
        f"{counted(len(result.failures), 'job')} failed: {'; '.join(reasons)}",
        hint="the same command tries them again, and measures nothing twice",
    )
