"""Charts of runs, drawn in the page's own colours and as wide as their place in it."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.report import theme
from edgekit.report.drawing import Rows, specification
from edgekit.report.vega import Spec, coded, colored, field, layer, log_scale, tooltips

__all__ = [
    "accuracy_chart",
    "distribution_chart",
    "layers_chart",
    "memory_chart",
    "speedup_chart",
    "sustained_chart",
]

_ROW_HEIGHT = 24
_SHORT = "abs(datum.value) < 1e6 ? format(datum.value, ',~r') : format(datum.value / 1e6, '~r') + ' M'"
_SHAPES = ["circle", "square", "triangle-up", "diamond", "cross"]


def accuracy_chart(
    points: Rows, front: Rows, background: Rows, *, cost: str, size: str | None, palette: theme.Palette
) -> Spec:
    """Top-1 against a cost, named ``cost``, in ``points`` with ``x``, ``top1``, ``low``, ``high``,
    ``family``, ``runtime``, ``file``, ``source`` and, for areas, ``params``; hollow is not measured."""
    axis = {"format": "~s", "tickCount": 6}
    place = {
        "x": field("x:Q", title=cost, scale=log_scale(padding=18), axis=axis),
        "y": field("top1:Q", title="top-1, %", scale={"zero": False, "padding": 14}),
    }
    scale = {"type": "sqrt", "range": [30, 900]}
    areas = (
        field(f"{size}:Q", title="million parameters", scale=scale, legend=None) if size else {"value": 90}
    )
    colors = theme.series(palette, _values(points, "family"))
    shapes = {} if size else dict(zip(_values(points, "runtime"), _SHAPES, strict=False))
    color = {"color": colored("family", colors)}
    dots = {
        "size": areas,
        "fill": colored("family", colors),
        "fillOpacity": {"condition": {"test": "datum.source == 'measured'", "value": 0.62}, "value": 0},
        "tooltip": tooltips("file:N", "top1:Q", "source:N", "x:Q", "params:Q" if size else "runtime:N"),
        **({"shape": coded("runtime:N", shapes)} if shapes else {}),
    }
    spread = {"y": field("low:Q", title="top-1, %"), "y2": field("high")}
    faint = {"size": areas, "tooltip": tooltips("name:N", "top1:Q")}
    literature = [
        layer("background", "point", [place, faint], filled=True, color=palette.faint, opacity=0.28),
        layer(
            *("background", "text", [place, {"text": field("label:N")}]),
            dy=-11,
            color=palette.muted,
            fontSize=9.5,
        ),
    ]
    line = layer(
        *("front", "line", [place]),
        interpolate="step-after",
        color=palette.muted,
        strokeWidth=1.2,
        strokeDash=[4, 3],
    )
    layers = [
        *(literature if background else []),
        line,
        layer("points", "rule", [place, color, spread], opacity=0.35),
        layer("points", "point", [place, color, dots], strokeWidth=1.6),
    ]
    chart = {"layer": layers, "width": "container", "height": 380}
    data = {"points": points, "front": front, "background": background}
    return specification(chart, data, palette, [*colors, *shapes])


def distribution_chart(rows: Rows, samples: Rows, *, palette: theme.Palette) -> Spec:
    """Latencies in order of their medians: ``rows`` with ``file``, ``group``, ``p5`` to ``p95``, ``median``,
    ``low``, ``high``; ``samples`` with ``file`` and ``ms``."""
    colors = theme.series(palette, _values(rows, "group"))
    names = [str(row["file"]) for row in rows]
    common = {
        "y": field("file:N", title=None, sort=names, axis={"grid": True}),
        "color": colored("group", colors),
    }
    told = {"tooltip": tooltips("file:N", "median:Q", "low:Q", "high:Q", "p95:Q", format=".3f")}
    ink = {"color": {"value": palette.ink}}

    def along(first: str, last: str | None = None) -> Spec:
        x = field(f"{first}:Q", title="milliseconds of one inference", scale=log_scale(padding=10))
        return {"x": x, **({"x2": field(last)} if last else {})}

    layers = [
        layer("samples", "tick", [common, along("ms")], thickness=1, height=12, opacity=0.3),
        layer("rows", "rule", [common, told, along("p5", "p95")], strokeWidth=1.2),
        layer("rows", "rule", [common, told, along("p25", "p75")], strokeWidth=6, opacity=0.55),
        layer("rows", "rule", [common, told, ink, along("low", "high")], strokeWidth=2.6),
        layer("rows", "tick", [common, told, ink, along("median")], thickness=2, height=15),
    ]
    chart = {"layer": layers, "width": "container", "height": _ROW_HEIGHT * len(rows)}
    return specification(chart, {"rows": rows, "samples": samples}, palette, colors)


def speedup_chart(rows: Rows, *, palette: theme.Palette, title: str = "times as fast as fp32") -> Spec:
    """Ratios beside the line of equality: ``network``, ``runtime``, ``ratio``, ``low`` and ``high``."""
    colors = theme.series(palette, _values(rows, "runtime"))
    # One row each lies on its own line; several of one network lie above each other.
    are_grouped = len(_values(rows, "network")) < len(rows)
    common = {
        "y": field("network:N", title=None, sort=None, axis={"grid": True}),
        **({"yOffset": field("runtime:N")} if are_grouped else {}),
        "color": colored("runtime", colors),
        "tooltip": tooltips("network:N", "runtime:N", "ratio:Q", format=".2f"),
    }
    axis = {"format": "~g", "labelExpr": "datum.label ? datum.label + ' ×' : ''", "tickCount": 6}

    def along(name: str) -> Spec:
        return {"x": field(f"{name}:Q", title=title, scale=log_scale(padding=14), axis=axis)}

    layers = [
        layer("equal", "rule", [{"x": field("ratio:Q")}], color=palette.ink, strokeWidth=1.2),
        layer("rows", "rule", [common, along("low"), {"x2": field("high")}], strokeWidth=1.4),
        layer("rows", "circle", [common, along("ratio")], size=74, opacity=1),
    ]
    chart = {"layer": layers, "width": "container", "height": _ROW_HEIGHT * max(2, len(rows))}
    return specification(chart, {"rows": rows, "equal": [{"ratio": 1}]}, palette, colors)


def memory_chart(rows: Rows, *, palette: theme.Palette) -> Spec:
    """Bars of ``mb`` for each ``file`` and ``what`` (the file itself, peak memory, arena)."""
    colors = theme.series(palette, _values(rows, "what"))
    encoding = {
        "x": field("mb:Q", title="MB"),
        "y": field("file:N", title=None, sort=None),
        "yOffset": field("what:N", sort=list(colors)),
        "color": colored("what", colors),
        "tooltip": tooltips("file:N", "what:N", "mb:Q", format=".2f"),
    }
    bars = layer("rows", "bar", [encoding], height={"band": 0.9})
    chart = {**bars, "width": "container", "height": _ROW_HEIGHT / 2 * len(rows)}
    return specification(chart, {"rows": rows}, palette, colors)


def sustained_chart(rows: Rows, *, palette: theme.Palette) -> Spec:
    """Latency over a long run: ``file``, ``seconds`` and ``ms``."""
    colors = theme.series(palette, _values(rows, "file"))
    encoding = {
        "x": field("seconds:Q", title="seconds since the start"),
        "y": field("ms:Q", title="milliseconds of one inference", scale={"zero": False}),
        "color": colored("file", colors),
        "tooltip": tooltips("file:N", "seconds:Q", "ms:Q"),
    }
    chart = {**layer("rows", "line", [encoding], strokeWidth=1.6), "width": "container", "height": 300}
    return specification(chart, {"rows": rows}, palette, colors)


def layers_chart(rows: Rows, measures: Sequence[str], *, palette: theme.Palette) -> Spec:
    """Bars over a network's layers from first to last; the reader chooses which of ``measures`` they show.

    ``rows`` have ``index``, ``layer``, ``op``, ``measure`` and ``value``.
    """
    colors = theme.series(palette, _values(rows, "op"))
    shown = {"input": "select", "options": list(measures), "name": "Bars show "}
    encoding = {
        "x": field("index:O", title="layer, from input to output", axis={"labels": False, "ticks": False}),
        "y": field("value:Q", title=None, axis={"labelExpr": _SHORT}),
        "color": colored("op", colors),
        "tooltip": tooltips("layer:N", "op:N", "measure:N", "value:Q"),
    }
    chart = {
        "params": [{"name": "measure", "value": measures[0], "bind": shown}],
        "transform": [{"filter": "datum.measure == measure"}],
        **layer("rows", "bar", [encoding]),
        "width": "container",
        "height": 220,
    }
    return specification(chart, {"rows": rows}, palette, colors)


def _values(rows: Rows, name: str) -> list[str]:
    return list(dict.fromkeys(str(row[name]) for row in rows))
