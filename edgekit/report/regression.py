"""Two sets of records side by side: what became slower, larger or less accurate, beyond noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from edgekit.report import charts, theme
from edgekit.report.closing_sections import environment_section
from edgekit.report.contents import summary
from edgekit.report.document import Answer, Cell, Column, Document, Figure, Number, Section, Table
from edgekit.report.runs import Run
from edgekit.report.tables import number
from edgekit.report.verdict import place_title, speedup
from edgekit.report.wording import counted, joined, megabytes, milliseconds, percent

__all__ = ["Pair", "build_comparison", "pairs_of"]

_NOTABLE = 0.02
_MOST_NAMED = 6
_MOST_BARS = 40


class Pair(NamedTuple):
    """One file in one runtime on one machine, before and after. ``slower`` is new over old milliseconds."""

    old: Run
    new: Run
    slower: float | None
    low: float | None
    high: float | None

    @property
    def verdict(self) -> str:
        """``slower`` or ``faster`` where the 95 % intervals exclude equality by 2 %, else ``same``."""
        if self.slower is None or self.low is None or self.high is None:
            return "unknown"
        if self.low > 1 and self.slower > 1 + _NOTABLE:
            return "slower"
        return "faster" if self.high < 1 and self.slower < 1 - _NOTABLE else "same"


def pairs_of(old: Sequence[Run], new: Sequence[Run]) -> list[Pair]:
    """The runs of ``new`` that ``old`` has by file name, place, runtime and threads, slowest first."""
    known = {_key(run): run for run in old}
    pairs = [_pair(known[_key(run)], run) for run in new if _key(run) in known]
    return sorted(pairs, key=lambda pair: -(pair.slower or 0))


def build_comparison(old: Sequence[Run], new: Sequence[Run], *, title: str = "") -> Document:
    """A regression report of ``new`` against ``old``."""
    pairs = pairs_of(old, new)
    figures = (_latency(pairs),) if any(pair.slower for pair in pairs) else ()
    everything = Figure("changes", "Every change", "Before and after.", None, _table(pairs))
    sections = (
        Section("latency", "Time, after over before", figures=figures),
        Section("changes-all", "Every change", figures=(everything,)),
        environment_section([*old, *new]),
    )
    return Document(
        title=title or "What changed",
        summary=f"before: {summary(old)} — after: {summary(new)}",
        answers=(_answer(pairs, new),),
        sections=tuple(one for one in sections if one.figures),
        notes=tuple(_notes(pairs, old, new)),
    )


def _key(run: Run) -> tuple[object, ...]:
    return run.label, run.place.name, run.record.runtime, run.record.num_threads


def _pair(old: Run, new: Run) -> Pair:
    if old.latency is None or new.latency is None:
        return Pair(old, new, None, None, None)
    ratio, low, high = speedup(old, new)
    return Pair(old, new, ratio, low, high)


def _answer(pairs: Sequence[Pair], new: Sequence[Run]) -> Answer:
    slower = [pair for pair in pairs if pair.verdict == "slower"]
    faster = [pair for pair in pairs if pair.verdict == "faster"]
    timed = [pair for pair in pairs if pair.slower is not None]
    headline = (
        f"{len(slower)} of {counted(len(timed), 'file')} became slower"
        if slower
        else "Nothing became slower"
        if timed
        else "No file was timed in both"
    )
    worst = f" The most is {slower[0].new.label}, {slower[0].slower:.2f} × the time." if slower else ""
    return Answer(
        joined(list(dict.fromkeys(place_title(pair.new.place) for pair in pairs))[:_MOST_NAMED]) or "nowhere",
        headline,
        f"Of {counted(len(timed), 'file')} timed in both, {len(slower)} slower, {len(faster)} faster "
        f"and {len(timed) - len(slower) - len(faster)} the same within noise or {_NOTABLE:.0%}.{worst}",
        lost="; ".join(_loss(pair) for pair in pairs if _loss(pair)),
        others=tuple(f"{pair.new.label}: {pair.slower:.2f} × the time." for pair in slower[1:_MOST_NAMED]),
        notes=_doubts(timed),
    )


def _doubts(timed: Sequence[Pair]) -> tuple[str, ...]:
    hidden = [pair for pair in timed if pair.verdict == "same" and _is_noisy(pair)]
    if not hidden:
        return ()
    were = "was" if len(hidden) == 1 else "were"
    files = counted(len(hidden), "file")
    return (f"{files} called the same {were} noisy before or after: a change may hide in the interval.",)


def _loss(pair: Pair) -> str:
    """What a file lost in accuracy or gained in size, empty for nothing."""
    tops = pair.old.top1, pair.new.top1
    parts = []
    if tops[0] and tops[1] and tops[0].is_measured and tops[1].is_measured and tops[1].value < tops[0].value:
        parts.append(f"{percent(tops[0].value - tops[1].value)} points of top-1")
    growth = pair.new.record.size_bytes / pair.old.record.size_bytes
    if growth > 1 + _NOTABLE:
        parts.append(f"{growth:.2f} × the size")
    return f"{pair.new.label}: {' and '.join(parts)}" if parts else ""


def _latency(pairs: Sequence[Pair]) -> Figure:
    timed = [pair for pair in pairs if pair.slower is not None]
    rows = [
        {
            "network": pair.new.label,
            "runtime": f"{pair.new.record.runtime}, {counted(pair.new.record.num_threads, 'thread')}",
            "ratio": pair.slower,
            "low": pair.low,
            "high": pair.high,
        }
        for pair in timed[:_MOST_BARS]
    ]
    noisy = [pair.new.label for pair in timed if _is_noisy(pair)]
    notes = [f"Noisy before or after: {joined(noisy[:_MOST_NAMED])}."] if noisy else []
    if len(timed) > _MOST_BARS:
        notes.append(f"The {_MOST_BARS} largest of {len(timed):,} are drawn; the table has all.")
    return Figure(
        "latency-change",
        "Time, after over before",
        "Right of the line is slower. Bars are what the 95 % confidence intervals of both allow.",
        charts.speedup_chart(rows, title="times as long as before", palette=theme.PAGE),
        None,
        tuple(notes),
    )


def _is_noisy(pair: Pair) -> bool:
    return any(run.latency is not None and run.latency.noisy for run in (pair.old, pair.new))


def _table(pairs: Sequence[Pair]) -> Table:
    columns = (
        Column("file"),
        Column("runtime"),
        Column("verdict"),
        Column("before ms", True),
        Column("after ms", True),
        Column("after / before", True),
        Column("95 % CI"),
        Column("before MB", True),
        Column("after MB", True),
        Column("before top-1 %", True),
        Column("after top-1 %", True),
    )
    return Table("changes-table", "Every change", columns, tuple(map(_row, pairs)))


def _row(pair: Pair) -> tuple[Cell, ...]:
    interval = "–" if pair.low is None or pair.high is None else f"{pair.low:.2f} to {pair.high:.2f}"
    return (
        pair.new.label,
        pair.new.record.runtime,
        pair.verdict,
        *(number(run.median_ms, milliseconds(run.median_ms or 0)) for run in (pair.old, pair.new)),
        number(pair.slower, f"{pair.slower or 0:.3f}"),
        Number(interval, pair.low),
        *(number(run.record.size_bytes, megabytes(run.record.size_bytes)) for run in (pair.old, pair.new)),
        *(_top1(run) for run in (pair.old, pair.new)),
    )


def _top1(run: Run) -> Cell:
    top1 = run.top1
    return (
        number(None, "") if top1 is None or not top1.is_measured else number(top1.value, percent(top1.value))
    )


def _notes(pairs: Sequence[Pair], old: Sequence[Run], new: Sequence[Run]) -> list[str]:
    notes = []
    matched = {id(run) for pair in pairs for run in (pair.old, pair.new)}
    for when, runs in (("before", old), ("after", new)):
        alone = list(dict.fromkeys(run.label for run in runs if id(run) not in matched))
        if alone:
            others = " and others" if len(alone) > _MOST_NAMED else ""
            notes.append(f"Only {when}: {joined(alone[:_MOST_NAMED])}{others}.")
    cpus = [{run.record.environment.cpu for run in runs} for runs in (old, new)]
    if cpus[0] != cpus[1]:
        notes.append("Before and after were measured on different processors: the times do not compare.")
    return notes
