"""The sections about the inside of networks: their layers, and the operators that a profile saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgekit.report import charts, theme
from edgekit.report.document import Bar, Column, Figure, Section, Table
from edgekit.report.layer_rows import layer_rows, layers_table, measures_of
from edgekit.report.operators import OperatorPoint, operators_chart, roofline_chart
from edgekit.report.runs import LayerCost, Run
from edgekit.report.tables import number
from edgekit.report.wording import counted, joined, milliseconds

__all__ = ["layers_section", "operators_section"]

_MOST_NETWORKS = 12


def layers_section(runs: Sequence[Run], costs: Mapping[str, tuple[LayerCost, ...]]) -> Section:
    figures: list[Figure] = []
    candidates = [run for run in runs if run.profile or run.layers]
    seen = {run.network for run in candidates}
    for run in runs:
        if run.network not in seen and costs.get(run.network, ()):
            seen.add(run.network)
            candidates.append(run)
    for run in candidates[:_MOST_NETWORKS]:
        rows = layer_rows(run, costs.get(run.network, ()))
        measures = measures_of(rows)
        if not measures:
            continue
        key = f"layers-{len(figures)}"
        values = [
            {"index": index, "layer": row["layer"], "op": row["op"], "measure": name, "value": row[name]}
            for index, row in enumerate(rows)
            for name in measures
            if row[name] is not None
        ]
        measured = run.profile or run.layers
        figures.append(
            Figure(
                key,
                run.label if measured else run.network,
                _layers_caption(len(rows), has_errors=run.layers is not None),
                charts.layers_chart(values, measures, palette=theme.PAGE),
                layers_table(f"{key}-table", rows),
                (run.layers.warnings if run.layers else ()),
                is_open=not figures,
            )
        )
    left = len(candidates) - len(figures)
    notes = (f"{left} more networks are left out here.",) if left > 0 else ()
    return Section("layers", "Layer by layer", figures=tuple(figures), notes=notes)


def _layers_caption(count: int, *, has_errors: bool) -> str:
    caption = f"{counted(count, 'layer')}. Activations are of one fp32 image; one KB is 1024 bytes."
    errors = " Errors are noise over signal: at 0 dB as much noise as signal, at −20 dB a hundredth."
    return caption + errors if has_errors else caption


def operators_section(runs: Sequence[Run]) -> Section:
    figures: list[Figure] = []
    for run in [one for one in runs if one.profile][:_MOST_NETWORKS]:
        profile = run.profile
        assert profile is not None
        points = [
            OperatorPoint(one.name, one.op, one.ms, one.share, one.macs, one.moved_bytes)
            for one in profile.operators
        ]
        roof = None
        if profile.peak_gmacs_per_s and profile.bandwidth_gb_per_s:
            roof = roofline_chart(
                points,
                profile.peak_gmacs_per_s,
                profile.bandwidth_gb_per_s,
                palette=theme.PAGE,
                width="container",
            )
        chart = roof or operators_chart(points, palette=theme.PAGE, width="container")
        caption = (
            "Areas are times. On the slope memory is the limit, under the flat roof arithmetic is: "
            f"{profile.peak_gmacs_per_s:.1f} × 10⁹ multiply-adds and "
            f"{profile.bandwidth_gb_per_s:.1f} GB a second."
            if roof
            else "The slowest operators, milliseconds of one inference."
        )
        left = [one.op for one in profile.operators if not one.delegated]
        notes = profile.warnings + (
            (f"Off the fast path: {joined(list(dict.fromkeys(left))[:6])}.",) if left else ()
        )
        key = f"operators-{len(figures)}"
        title = f"{run.label} in {run.record.runtime}"
        figures.append(
            Figure(
                key,
                title,
                caption,
                chart,
                _operators_table(f"{key}-table", points),
                notes,
                is_open=not figures,
            )
        )
    return Section("operators", "Where the time goes", figures=tuple(figures))


def _operators_table(key: str, points: Sequence[OperatorPoint]) -> Table:
    most = max((one.ms for one in points), default=0.0) or 1.0
    rows = tuple(
        (
            one.name,
            one.op,
            Bar(milliseconds(one.ms), one.ms, one.ms / most),
            number(100 * one.share, f"{100 * one.share:.1f}"),
            number(one.gmacs_per_s, f"{one.gmacs_per_s or 0:.1f}"),
            number(one.intensity, f"{one.intensity or 0:.1f}"),
        )
        for one in points
    )
    columns = (
        Column("operator"),
        Column("kernel"),
        Column("ms", True),
        Column("share %", True),
        Column("GMAC/s", True),
        Column("MACs per byte", True),
    )
    return Table(key, "Operator by operator", columns, rows)
