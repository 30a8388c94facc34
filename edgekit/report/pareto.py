"""Accuracy against what it costs, with the front that nothing beats and the literature behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from edgekit.report import theme
from edgekit.report.charts import accuracy_chart
from edgekit.report.document import MOST_ROWS, Cell, Column, Figure, Number, Table
from edgekit.report.runs import Published, Run, Top1, by_place
from edgekit.report.tables import cut_remarks, number
from edgekit.report.verdict import place_title
from edgekit.report.wording import joined, millions, milliseconds, percent

__all__ = ["accuracy_figures", "front_of"]

_MOST_POINTS = 300
_NEAR = 8.0  # times fewer or more multiply-adds
_NETWORKS = "accuracy-macs"

Point: TypeAlias = tuple[Run, Top1, float]
"""A run, its accuracy and its cost."""


def accuracy_figures(runs: Sequence[Run], published: Sequence[Published]) -> tuple[Figure, ...]:
    """Against multiply-adds for all networks, then against latency for each place."""
    figures = [_against_macs(runs, published)]
    for index, here in enumerate(by_place(run for run in runs if run.latency).values()):
        figures.append(_against_latency(index, here))
    return tuple(one for one in figures if one is not None)


def front_of(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those (cost, top-1) that no other is both cheaper than and as accurate as, cheapest first."""
    front: list[tuple[float, float]] = []
    for cost, top1 in sorted(points, key=lambda point: (point[0], -point[1])):
        if not front or top1 > front[-1][1]:
            front.append((cost, top1))
    return front


def _against_macs(runs: Sequence[Run], published: Sequence[Published]) -> Figure | None:
    points = _points(runs, lambda run: run.model.macs)
    unique = {(run.record.sha256, top1.value): (run, top1, cost) for run, top1, cost in points}
    points = list(unique.values())
    if not points:
        return None
    background = _background([cost for _, _, cost in points], published)
    return _figure(
        _NETWORKS,
        "Accuracy against multiply-adds",
        "One multiply-add is one operation. Areas are parameters; grey are the published networks, in fp32.",
        points,
        background,
        ("multiply-adds of one image", "M multiply-adds", millions),
        "params",
    )


def _background(costs: Sequence[float], published: Sequence[Published]) -> list[dict[str, object]]:
    """The networks of the literature near the runs; those on its own front have their names beside them."""
    near = [one for one in published if min(costs) / _NEAR <= one.macs <= max(costs) * _NEAR]
    front = set(front_of([(one.macs, one.top1) for one in near]))
    return [
        {
            "name": one.name,
            "label": one.name if (one.macs, one.top1) in front else "",
            "x": one.macs,
            "top1": one.top1,
            "params": one.params / 1e6,
        }
        for one in near
    ]


def _against_latency(index: int, here: Sequence[Run]) -> Figure | None:
    points = _points(here, lambda run: run.median_ms)
    if not points:
        return None
    return _figure(
        f"accuracy-latency-{index}",
        "Accuracy against latency",
        f"{place_title(here[0].place)}. The dashed line joins the files that nothing beats in both.",
        points,
        [],
        ("milliseconds of one inference", "median ms", milliseconds),
        None,
    )


def _points(runs: Sequence[Run], cost_of: Callable[[Run], float | None]) -> list[Point]:
    return [
        (run, top1, float(cost))
        for run in runs
        if (top1 := run.top1) is not None and (cost := cost_of(run)) is not None
    ]


def _figure(
    key: str,
    title: str,
    caption: str,
    points: Sequence[Point],
    background: Sequence[dict[str, object]],
    cost: tuple[str, str, Callable[[float], str]],
    size: str | None,
) -> Figure:
    """``cost`` is the axis' title, the table's heading, and how a cost is written."""
    counting = [point for point in points if point[1].is_measured] or list(points)
    front = front_of([(value, top1.value) for _, top1, value in counting])
    drawn = [_row(*point) for point in points[:_MOST_POINTS]]
    line = [{"x": x, "top1": y} for x, y in front]
    chart = accuracy_chart(drawn, line, background, cost=cost[0], size=size, palette=theme.PAGE)
    columns = (
        Column("file"),
        Column("runtime"),
        Column(cost[1], True),
        Column("top-1 %", True),
        Column("95 % CI"),
        Column("source"),
    )
    rows = tuple(_cells(point, cost[2]) for point in points[:MOST_ROWS])
    table = Table(f"{key}-table", f"{title}, number by number", columns, rows)
    return Figure(
        key,
        title,
        caption,
        chart,
        table,
        tuple(_notes(points, has_background=bool(background))),
        tuple(_remarks(points)),
    )


def _row(run: Run, top1: Top1, cost: float) -> dict[str, object]:
    return {
        "file": run.label,
        "family": run.family,
        "runtime": run.record.runtime,
        "x": cost,
        "top1": top1.value,
        "low": top1.low,
        "high": top1.high,
        "source": _source(run, top1),
        "params": (run.model.params or 0) / 1e6,
    }


def _cells(point: Point, write: Callable[[float], str]) -> tuple[Cell, ...]:
    run, top1, cost = point
    return (
        run.label,
        run.record.runtime,
        number(cost, write(cost)),
        number(top1.value, percent(top1.value)),
        Number(f"{top1.low:.1f} to {top1.high:.1f}" if top1.is_measured else "–", top1.low),
        _source(run, top1),
    )


def _source(run: Run, top1: Top1) -> str:
    return "measured" if top1.is_measured else "published for fp32"


def _notes(points: Sequence[Point], *, has_background: bool) -> list[str]:
    notes = []
    random = list(dict.fromkeys(run.network for run, top1, _ in points if run.is_random))
    if random:
        notes.append(f"Random weights: {joined(random)}. Hollow marks show the published top-1 instead.")
    elif any(not top1.is_measured for _, top1, _ in points):
        notes.append("Hollow marks were not measured: they show what is published of the fp32 network.")
    measured = [top1.is_measured for _, top1, _ in points]
    if any(measured) and (has_background or not all(measured)):
        notes.append("Measured and published top-1 are of other images: their heights do not compare.")
    return notes


def _remarks(points: Sequence[Point]) -> list[str]:
    notes = []
    counts = sorted({run.accuracy.images for run, top1, _ in points if run.accuracy and top1.is_measured})
    if counts:
        images = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
        notes.append(f"Measured on {images} images; vertical lines are 95 % intervals.")
    return notes + cut_remarks("first", _MOST_POINTS, len(points))
