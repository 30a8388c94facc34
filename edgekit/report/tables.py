"""Tables of runs: the numbers behind the pictures, and all of them in one."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.measure.record import LatencyRecord
from edgekit.report.document import MOST_ROWS, Cell, Column, Number, Table
from edgekit.report.runs import Run
from edgekit.report.verdict import baseline_of, baselines, place_title, speedup
from edgekit.report.wording import megabytes, milliseconds, percent, times

__all__ = ["cut_remarks", "measurements_table", "number", "pairs_with_fp32", "speedup_table"]

_MISSING = Number("–", None)
_TIMING_CELLS = 5


def number(value: float | None, written: str) -> Number:
    return _MISSING if value is None else Number(written, value)


def cut_remarks(which: str, drawn: int, total: int) -> list[str]:
    """That a picture shows ``drawn`` of ``total`` rows, where that is not all, and its table too."""
    if total <= drawn:
        return []
    where = (
        "the table has all" if total <= MOST_ROWS else f"the table has {MOST_ROWS:,}, “Every measurement” all"
    )
    return [f"The {which} {drawn:,} of {total:,} are drawn; {where}."]


def measurements_table(runs: Sequence[Run]) -> Table:
    """Every run with what is known of it."""
    columns = (
        Column("file"),
        Column("network"),
        Column("precision"),
        Column("runtime"),
        Column("on"),
        Column("threads", True),
        Column("median ms", True),
        Column("95 % CI"),
        Column("p90 ms", True),
        Column("load ms", True),
        Column("first ms", True),
        Column("top-1 %", True),
        Column("agreement %", True),
        Column("file MB", True),
        Column("peak MB", True),
        Column("remarks"),
    )
    return Table("measurements", "Every measurement", columns, tuple(map(_measurement, runs)))


def speedup_table(key: str, pairs: Sequence[tuple[Run, Run]]) -> Table:
    """Each run beside its fp32 file."""
    columns = (
        Column("file"),
        Column("runtime"),
        Column("fp32 ms", True),
        Column("ms", True),
        Column("times as fast", True),
        Column("95 % CI"),
        Column("times smaller", True),
    )
    rows = []
    for run, baseline in pairs[:MOST_ROWS]:
        ratio, low, high = speedup(run, baseline)
        smaller = baseline.record.size_bytes / run.record.size_bytes
        rows.append(
            (
                run.label,
                run.record.runtime,
                number(baseline.median_ms, milliseconds(baseline.median_ms or 0)),
                number(run.median_ms, milliseconds(run.median_ms or 0)),
                number(ratio, times(ratio)),
                Number(f"{low:.2f} to {high:.2f}", low),
                number(smaller, times(smaller)),
            )
        )
    return Table(key, "Against fp32, number by number", columns, tuple(rows))


def pairs_with_fp32(runs: Sequence[Run]) -> list[tuple[Run, Run]]:
    """Each timed run that is not fp32, with the fp32 run of its network in the same place."""
    known = baselines(runs)
    return [(run, base) for run in runs if run.latency and (base := baseline_of(run, known)) is not None]


def _measurement(run: Run) -> tuple[Cell, ...]:
    accuracy, record = run.accuracy, run.record
    return (
        run.label,
        run.network,
        record.precision or "unknown",
        f"{record.runtime} {record.runtime_version}",
        place_title(run.place),
        number(record.num_threads, str(record.num_threads)),
        *(_timing(run.latency) if run.latency else [_MISSING] * _TIMING_CELLS),
        _percentage(accuracy.top1 if accuracy else None),
        _percentage(run.agreement.agreement if run.agreement else None),
        number(record.size_bytes, megabytes(record.size_bytes)),
        _size(run.latency.peak_memory_bytes if run.latency else None),
        ", ".join(_remarks(run)) or "–",
    )


def _timing(latency: LatencyRecord) -> list[Number]:
    one = latency.latency_ms
    low, high = one.ci95
    return [
        _ms(one.median),
        Number(f"{milliseconds(low)} to {milliseconds(high)}", low),
        _ms(one.p90),
        _ms(latency.load_ms),
        _ms(latency.first_inference_ms),
    ]


def _ms(value: float) -> Number:
    return Number(milliseconds(value), value)


def _percentage(value: float | None) -> Number:
    return _MISSING if value is None else Number(percent(value), value)


def _size(size_bytes: int | None) -> Number:
    return _MISSING if size_bytes is None else Number(megabytes(size_bytes), size_bytes)


def _remarks(run: Run) -> list[str]:
    return [
        *(["noisy"] if run.latency and run.latency.noisy else []),
        *(["random weights"] if run.is_random else []),
        *(["emulated"] if run.record.emulated else []),
        *([f"latest of {run.repeats}"] if run.repeats > 1 else []),
    ]
