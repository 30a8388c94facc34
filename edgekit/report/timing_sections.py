"""The sections about time and memory: latency, what quantization gains, what files weigh, long runs."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import quantiles

from edgekit.measure.record import LatencyRecord
from edgekit.report import charts, theme
from edgekit.report.document import MOST_ROWS, Cell, Column, Figure, Section, Table
from edgekit.report.runs import Run, by_place
from edgekit.report.tables import cut_remarks, number, pairs_with_fp32, speedup_table
from edgekit.report.verdict import place_title, speedup
from edgekit.report.wording import counted, joined, megabytes, milliseconds

__all__ = ["latency_section", "memory_section", "precision_section", "sustained_section"]

_LEGEND = (
    "The upright mark is the median and the dark bar its 95 % confidence interval. Half of all samples lie "
    "in the thick bar, nine of ten on the thin line; each pale tick is one."
)
_MOST_BARS = 40
_MOST_SAMPLES = 60


def latency_section(runs: Sequence[Run]) -> Section:
    """Distributions, one figure for each place."""
    places = by_place(_timed(runs)).values()
    figures = tuple(_distribution(index, here) for index, here in enumerate(places))
    return Section("latency", "How long one inference takes", (_LEGEND,), figures)


def _distribution(index: int, here: Sequence[Run]) -> Figure:
    ranked = sorted(here, key=lambda run: run.median_ms or 0.0)
    shown = ranked[:_MOST_BARS]
    names = _names(here)
    rows: list[dict[str, object]] = []
    samples: list[dict[str, object]] = []
    for run in shown:
        assert run.latency is not None
        taken, summary = run.latency.samples_ms, run.latency.latency_ms
        cuts = quantiles(taken, n=20, method="inclusive") if len(taken) > 1 else [summary.median] * 19
        name = names[id(run)]
        rows.append(
            {
                "file": name,
                "group": run.record.precision or "unknown",
                **dict(zip(("p5", "p25", "p75", "p95"), (cuts[i] for i in (0, 4, 14, 18)), strict=True)),
                "median": summary.median,
                "low": summary.ci95[0],
                "high": summary.ci95[1],
            }
        )
        step = max(1, -(-len(taken) // _MOST_SAMPLES))
        samples += [{"file": name, "group": rows[-1]["group"], "ms": sample} for sample in taken[::step]]
    total = sum(len(run.latency.samples_ms) for run in shown if run.latency)
    remarks = []
    if len(samples) < total:
        remarks.append(f"{len(samples):,} of {total:,} samples are drawn, evenly spread; the bars count all.")
    remarks += cut_remarks("fastest", _MOST_BARS, len(ranked))
    table = Table(
        f"latency-{index}-table",
        "Latency, number by number",
        (
            Column("file"),
            Column("median ms", True),
            Column("95 % CI low", True),
            Column("high", True),
            Column("p90 ms", True),
            Column("mean ms", True),
            Column("samples", True),
        ),
        tuple(_latency_row(run, names[id(run)]) for run in ranked[:MOST_ROWS]),
    )
    chart = charts.distribution_chart(rows, samples, palette=theme.PAGE)
    caption = f"{place_title(here[0].place)}, fastest first."
    return Figure(
        f"latency-{index}",
        "Latency",
        caption,
        chart,
        table,
        tuple(_noise_notes([(run, run.latency) for run in shown])),
        tuple(remarks),
    )


def _latency_row(run: Run, name: str) -> tuple[Cell, ...]:
    assert run.latency is not None
    one = run.latency.latency_ms
    values = (one.median, *one.ci95, one.p90, one.mean)
    count = len(run.latency.samples_ms)
    return (
        name,
        *(number(value, milliseconds(value)) for value in values),
        number(count, f"{count:,}"),
    )


def precision_section(runs: Sequence[Run]) -> Section:
    pairs = pairs_with_fp32(runs)
    figures = []
    for index, here in enumerate(by_place(run for run, _ in pairs).values()):
        own = [(run, base) for run, base in pairs if run.place == here[0].place]
        rows = []
        for run, base in own[:_MOST_BARS]:
            ratio, low, high = speedup(run, base)
            rows.append(
                {
                    "network": f"{run.network} {run.record.precision}",
                    "runtime": run.record.runtime,
                    "ratio": ratio,
                    "low": low,
                    "high": high,
                }
            )
        slower = [run.label for run, base in own if speedup(run, base)[0] < 1]
        notes = [f"No faster than fp32: {joined(slower[:5])}{' and others' if len(slower) > 5 else ''}."]
        figures.append(
            Figure(
                f"precision-{index}",
                "Speed against fp32",
                f"{place_title(here[0].place)}. Right of the line is faster than the same network's "
                "fp32 file in the same runtime; bars are what the 95 % confidence intervals of both allow.",
                charts.speedup_chart(rows, palette=theme.PAGE),
                speedup_table(f"precision-{index}-table", own),
                tuple(notes if slower else ()),
                tuple(cut_remarks("first", _MOST_BARS, len(own))),
            )
        )
    return Section("precision", "What quantization gains", figures=tuple(figures))


def memory_section(runs: Sequence[Run]) -> Section:
    timed = sorted(_timed(runs), key=lambda run: run.record.size_bytes)
    names = _names(timed)
    rows: list[dict[str, object]] = []
    body: list[tuple[Cell, ...]] = []
    for run in timed[:MOST_ROWS]:
        assert run.latency is not None
        sizes = {
            "file": run.record.size_bytes,
            "peak memory of the process": run.latency.peak_memory_bytes,
            "arena": run.latency.arena_bytes,
        }
        known = {what: size for what, size in sizes.items() if size is not None}
        if len(body) < _MOST_BARS:
            rows += [{"file": names[id(run)], "what": what, "mb": size / 1e6} for what, size in known.items()]
        cells = (number(size, megabytes(size or 0)) for size in sizes.values())
        body.append((names[id(run)], *cells))
    if not rows:
        return Section("memory", "Memory")
    columns = (Column("file"), Column("file MB", True), Column("peak MB", True), Column("arena MB", True))
    remarks = [
        "Peak memory is the whole process with its runtime.",
        *cut_remarks("smallest", _MOST_BARS, len(timed)),
    ]
    chart = charts.memory_chart(rows, palette=theme.PAGE)
    table = Table("memory-table", "Memory, number by number", columns, tuple(body))
    return Section(
        "memory",
        "What it weighs",
        figures=(
            Figure("memory", "Files and memory", "One MB is 10⁶ bytes.", chart, table, (), tuple(remarks)),
        ),
    )


def sustained_section(runs: Sequence[Run]) -> Section:
    long = [run for run in runs if run.sustained and run.sustained.sustained]
    rows: list[dict[str, object]] = []
    body: list[tuple[Cell, ...]] = []
    names = _names(long)
    for run in long[: theme.SERIES]:
        turns = (run.sustained and run.sustained.sustained) or ()
        rows += [{"file": names[id(run)], "seconds": seconds, "ms": ms} for seconds, ms in turns]
        first, last = turns[0][1], turns[-1][1]
        body.append(
            (
                names[id(run)],
                number(turns[-1][0], f"{turns[-1][0]:.0f}"),
                number(first, milliseconds(first)),
                number(last, milliseconds(last)),
                number(last / first, f"{last / first:.2f} ×"),
            )
        )
    if not rows:
        return Section("sustained", "Over time")
    columns = (
        Column("file"),
        Column("seconds", True),
        Column("first ms", True),
        Column("last ms", True),
        Column("last over first", True),
    )
    figure = Figure(
        "sustained",
        "Sustained latency",
        "Run without a pause: heat slows processors down.",
        charts.sustained_chart(rows, palette=theme.PAGE),
        Table("sustained-table", "Over time, number by number", columns, tuple(body)),
        tuple(_noise_notes([(run, run.sustained) for run in long[: theme.SERIES]])),
    )
    return Section("sustained", "Over time", figures=(figure,))


def _timed(runs: Sequence[Run]) -> list[Run]:
    return [run for run in runs if run.latency]


def _names(runs: Sequence[Run]) -> dict[int, str]:
    """A name for each run in a picture: its file's, with the runtime and threads where one ran in several."""
    files: dict[str, set[tuple[object, ...]]] = {}
    for run in runs:
        files.setdefault(run.label, set()).add((run.record.runtime, run.record.num_threads))
    return {
        id(run): run.label
        if len(files[run.label]) == 1
        else f"{run.label}, {run.record.runtime}, {counted(run.record.num_threads, 'thread')}"
        for run in runs
    }


def _noise_notes(timings: Sequence[tuple[Run, LatencyRecord | None]]) -> list[str]:
    noisy = [(run, one) for run, one in timings if one and one.noisy]
    notes = []
    if noisy:
        labels = [run.label for run, _ in noisy]
        others = " and others" if len(labels) > 4 else ""
        reasons = list(dict.fromkeys(reason for _, one in noisy for reason in one.noise))
        because = f": {'; '.join(reasons[:2])}" if reasons else ""
        notes.append(f"Noisy: {joined(labels[:4])}{others}{because}.")
    if any(run.record.emulated for run, _ in timings):
        notes.append("Emulated processors: these milliseconds are no device's latency.")
    return notes
