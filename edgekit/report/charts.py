"""Charts of runs, drawn in the page's own colours and as wide as their place in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from edgekit.report import theme
from edgekit.report.drawing import Rows, altair, specification

__all__ = [
    "accuracy_chart",
    "distribution_chart",
    "layers_chart",
    "memory_chart",
    "speedup_chart",
    "sustained_chart",
]

_ROW_HEIGHT = 24
_SHAPES = ["circle", "square", "triangle-up", "diamond", "cross"]


def accuracy_chart(
    points: Rows, front: Rows, background: Rows, *, cost: str, size: str | None, palette: theme.Palette
) -> dict[str, Any]:
    """Top-1 against a cost, named ``cost``, in ``points`` with ``x``, ``top1``, ``low``, ``high``,
    ``family``, ``runtime``, ``file``, ``source`` and, for areas, ``params``; hollow is not measured."""
    alt = altair()
    x = alt.X(
        "x:Q",
        title=cost,
        scale=alt.Scale(type="log", nice=False, padding=18),
        axis=alt.Axis(format="~s", tickCount=6),
    )
    y = alt.Y("top1:Q", title="top-1, %", scale=alt.Scale(zero=False, padding=14))
    colors = theme.series(palette, _values(points, "family"))
    color = alt.Color("family:N", title=None, scale=_scale(colors.keys(), colors.values()))
    areas = (
        alt.Size(
            f"{size}:Q",
            title="million parameters",
            scale=alt.Scale(type="sqrt", range=[30, 900]),
            legend=None,
        )
        if size
        else alt.value(90)
    )
    runtimes = _values(points, "runtime")
    shape = {} if size else {"shape": alt.Shape("runtime:N", title=None, scale=_scale(runtimes, _SHAPES))}
    literature = alt.Chart(alt.NamedData("background")).encode(x=x, y=y)
    faint = literature.mark_point(filled=True, color=palette.faint, opacity=0.28).encode(
        size=areas, tooltip=["name:N", "top1:Q"]
    )
    names = literature.mark_text(dy=-11, color=palette.muted, fontSize=9.5).encode(text="label:N")
    line = (
        alt.Chart(alt.NamedData("front"))
        .mark_line(interpolate="step-after", color=palette.muted, strokeWidth=1.2, strokeDash=[4, 3])
        .encode(x=x, y=y)
    )
    base = alt.Chart(alt.NamedData("points"))
    spread = base.mark_rule(opacity=0.35).encode(
        x=x, y=alt.Y("low:Q", title="top-1, %"), y2="high:Q", color=color
    )
    dots = base.mark_point(strokeWidth=1.6).encode(
        x=x,
        y=y,
        size=areas,
        color=color,
        fillOpacity=alt.condition("datum.source == 'measured'", alt.value(0.62), alt.value(0)),
        fill=alt.Fill("family:N", title=None, scale=_scale(colors.keys(), colors.values())),
        tooltip=["file:N", "top1:Q", "source:N", "x:Q", *(["params:Q"] if size else ["runtime:N"])],
        **shape,
    )
    layers = [faint, names, line, spread, dots] if background else [line, spread, dots]
    chart = alt.layer(*layers).properties(width="container", height=380)
    return specification(
        chart,
        {"points": points, "front": front, "background": background},
        palette,
        [*colors, *([] if size else runtimes)],
    )


def distribution_chart(rows: Rows, samples: Rows, *, palette: theme.Palette) -> dict[str, Any]:
    """Latencies in order of their medians: ``rows`` with ``file``, ``group``, ``p5`` to ``p95``, ``median``,
    ``low``, ``high``; ``samples`` with ``file`` and ``ms``."""
    alt = altair()
    x = "milliseconds of one inference"
    y = alt.Y("file:N", title=None, sort=[str(row["file"]) for row in rows], axis=alt.Axis(grid=True))
    colors = theme.series(palette, _values(rows, "group"))
    color = alt.Color("group:N", title=None, scale=_scale(colors.keys(), colors.values()))
    scale = alt.Scale(type="log", nice=False, padding=10)
    base = alt.Chart(alt.NamedData("rows")).encode(y=y, color=color, tooltip=_tooltips(alt))
    ticks = (
        alt.Chart(alt.NamedData("samples"))
        .mark_tick(thickness=1, height=12, opacity=0.3)
        .encode(x=alt.X("ms:Q", title=x, scale=scale), y=y, color=color)
    )
    whole = base.mark_rule(strokeWidth=1.2).encode(x=alt.X("p5:Q", title=x, scale=scale), x2="p95:Q")
    half = base.mark_rule(strokeWidth=6, opacity=0.55).encode(x=alt.X("p25:Q", scale=scale), x2="p75:Q")
    sure = base.mark_rule(strokeWidth=2.6, color=palette.ink).encode(
        x=alt.X("low:Q", scale=scale), x2="high:Q", color=alt.value(palette.ink)
    )
    middle = base.mark_tick(thickness=2, height=15).encode(
        x=alt.X("median:Q", scale=scale), color=alt.value(palette.ink)
    )
    chart = alt.layer(ticks, whole, half, sure, middle).properties(
        width="container", height=_ROW_HEIGHT * len(rows)
    )
    return specification(chart, {"rows": rows, "samples": samples}, palette, colors)


def speedup_chart(
    rows: Rows, *, palette: theme.Palette, title: str = "times as fast as fp32"
) -> dict[str, Any]:
    """Ratios beside the line of equality: ``network``, ``runtime``, ``ratio``, ``low`` and ``high``."""
    alt = altair()
    colors = theme.series(palette, _values(rows, "runtime"))
    scale = alt.Scale(type="log", nice=False, padding=14)
    base = alt.Chart(alt.NamedData("rows")).encode(
        y=alt.Y("network:N", title=None, axis=alt.Axis(grid=True)),
        yOffset=alt.YOffset("runtime:N"),
        color=alt.Color("runtime:N", title=None, scale=_scale(colors.keys(), colors.values())),
        tooltip=["network:N", "runtime:N", alt.Tooltip("ratio:Q", format=".2f")],
    )
    axis = alt.Axis(format="~g", labelExpr="datum.label ? datum.label + ' ×' : ''", tickCount=6)
    spread = base.mark_rule(strokeWidth=1.4).encode(
        x=alt.X("low:Q", title=title, scale=scale, axis=axis), x2="high:Q"
    )
    dots = base.mark_circle(size=74, opacity=1).encode(x=alt.X("ratio:Q", scale=scale, axis=axis))
    equal = (
        alt.Chart(alt.NamedData("equal")).mark_rule(color=palette.ink, strokeWidth=1.2).encode(x="ratio:Q")
    )
    chart = alt.layer(equal, spread, dots).properties(
        width="container", height=_ROW_HEIGHT * max(2, len(rows))
    )
    return specification(chart, {"rows": rows, "equal": [{"ratio": 1}]}, palette, colors)


def memory_chart(rows: Rows, *, palette: theme.Palette) -> dict[str, Any]:
    """Bars of ``mb`` for each ``file`` and ``what`` (the file itself, peak memory, arena)."""
    alt = altair()
    colors = theme.series(palette, _values(rows, "what"))
    chart = (
        alt.Chart(alt.NamedData("rows"))
        .mark_bar(height={"band": 0.9})
        .encode(
            x=alt.X("mb:Q", title="MB"),
            y=alt.Y("file:N", title=None, sort=None),
            yOffset=alt.YOffset("what:N", sort=list(colors)),
            color=alt.Color("what:N", title=None, scale=_scale(colors.keys(), colors.values())),
            tooltip=["file:N", "what:N", alt.Tooltip("mb:Q", format=".2f")],
        )
        .properties(width="container", height=_ROW_HEIGHT / 2 * len(rows))
    )
    return specification(chart, {"rows": rows}, palette, colors)


def sustained_chart(rows: Rows, *, palette: theme.Palette) -> dict[str, Any]:
    """Latency over a long run: ``file``, ``seconds`` and ``ms``."""
    alt = altair()
    colors = theme.series(palette, _values(rows, "file"))
    chart = (
        alt.Chart(alt.NamedData("rows"))
        .mark_line(strokeWidth=1.6)
        .encode(
            x=alt.X("seconds:Q", title="seconds since the start"),
            y=alt.Y("ms:Q", title="milliseconds of one inference", scale=alt.Scale(zero=False)),
            color=alt.Color("file:N", title=None, scale=_scale(colors.keys(), colors.values())),
            tooltip=["file:N", "seconds:Q", "ms:Q"],
        )
        .properties(width="container", height=300)
    )
    return specification(chart, {"rows": rows}, palette, colors)


def layers_chart(rows: Rows, measures: Sequence[str], *, palette: theme.Palette) -> dict[str, Any]:
    """Bars over a network's layers from first to last; the reader chooses which of ``measures`` they show.

    ``rows`` have ``index``, ``layer``, ``op``, ``measure`` and ``value``.
    """
    alt = altair()
    shown = alt.param(
        name="measure", value=measures[0], bind=alt.binding_select(options=list(measures), name="Bars show ")
    )
    colors = theme.series(palette, _values(rows, "op"))
    chart = (
        alt.Chart(alt.NamedData("rows"))
        .transform_filter("datum.measure == measure")
        .mark_bar()
        .encode(
            x=alt.X("index:O", title="layer, from input to output", axis=alt.Axis(labels=False, ticks=False)),
            y=alt.Y("value:Q", title=None, axis=alt.Axis(format="~s")),
            color=alt.Color("op:N", title=None, scale=_scale(colors.keys(), colors.values())),
            tooltip=["layer:N", "op:N", "measure:N", "value:Q"],
        )
        .add_params(shown)
        .properties(width="container", height=220)
    )
    return specification(chart, {"rows": rows}, palette, colors)


def _tooltips(alt: Any) -> list[Any]:
    return ["file:N", *(alt.Tooltip(f"{name}:Q", format=".3f") for name in ("median", "low", "high", "p95"))]


def _values(rows: Rows, name: str) -> list[str]:
    return list(dict.fromkeys(str(row[name]) for row in rows))


def _scale(domain: Iterable[str], values: Iterable[str]) -> Any:
    names = list(domain)
    return altair().Scale(domain=names, range=list(values)[: max(len(names), 1)])
